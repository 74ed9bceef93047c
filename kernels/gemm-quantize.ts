// Packed weights as 8-bit codes with a scale for every 64 inputs of a column: 8.25 bits a weight.

import { specialize } from "../src/gpu/wgsl.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";

/** Inputs of a column that share a scale. */
export const GROUP = 64;

/** Weights as codes. */
export interface QuantizedGemm {
  /** Four codes a word: u32 `[panels, depth / 4, panel]`, depth = taps · inputs padded. */
  readonly codes: Tensor;
  /** f16 `[panels, groups, panel]` */
  readonly scales: Tensor;
}

/**
 * Codes of packed f16 weights `[panels, taps, inputs padded, panel]` (packGemm): code = round(w / scale), scale = the
 * group's largest |w| / 127. A weight is off by at most half a scale, 0.4 % of its group's largest.
 * @throws Error where the weights are not f16
 */
export function quantizeGemm(packed: Tensor, label = packed.label): QuantizedGemm {
  const [panels, taps, padded, panel] = packed.shape as [number, number, number, number];
  if (packed.dtype !== "f16" || packed.shape.length !== 4)
    throw new Error(`quantizeGemm: expected packed weights in f16, got ${String(packed)}`);
  const { device } = packed;
  const depth = taps * padded;
  const groups = Math.ceil(depth / GROUP);
  const codes = Tensor.empty(device, [panels, depth / 4, panel], "u32", label);
  const scales = Tensor.empty(device, [panels, groups, panel], "f16", `${label} scales`);
  const pairs = (panels * groups * panel) / 2;
  device.dispatch({
    label: `quantize ${label}`,
    code: specialize(shaders["gemm-quantize"], { GROUP: `${GROUP}u` }),
    bindings: [packed.binding(), codes.binding(), scales.binding()],
    params: [depth, panel, groups, pairs],
    workgroups: grid(Math.ceil(pairs / 64), device.capabilities),
    flops: 4 * packed.size,
    bytes: 2 * packed.bytes + codes.bytes + scales.bytes,
  });
  return { codes, scales };
}
