// 8-bit codes back to the packed f16 weights that every gemm variant reads. Costs 5 bytes of memory traffic a weight, where
// a product with n rows does 2n operations with it.

import { specialize } from "../src/gpu/wgsl.js";
import type { Shape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { GROUP, type QuantizedGemm } from "./gemm-quantize.js";
import { grid } from "./slices.js";

/** The packed f16 weights of `shape` `[panels, taps, inputs padded, panel]` that codes stand for. */
export function dequantizeGemm({ codes, scales }: QuantizedGemm, shape: Shape, label = codes.label): Tensor {
  const { device } = codes;
  const [, taps, padded, panel] = shape as [number, number, number, number];
  const packed = Tensor.empty(device, shape, "f16", label);
  if (packed.size !== 4 * codes.size)
    throw new Error(`dequantizeGemm: ${String(codes)} are no codes of weights [${shape.join(", ")}]`);
  device.dispatch({
    label: `dequantize ${label}`,
    code: specialize(shaders["gemm-dequantize"], { GROUP: `${GROUP}u` }),
    bindings: [codes.binding(), scales.binding(), packed.binding()],
    params: [taps * padded, panel, scales.shape[1]!, codes.size],
    workgroups: grid(Math.ceil(codes.size / 64), device.capabilities),
    flops: packed.size,
    bytes: codes.bytes + scales.bytes + packed.bytes,
  });
  return packed;
}
