// Packing of PyTorch weights into the order in which products read them: [taps][inputs][columns / 4] vec4.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";

/** Weights of one product; columns are padded with zeros to a multiple of 4. */
export interface PackRequest {
  /** Each `[outputs, inputs]` or `[outputs, inputs, kh, kw]`, f32 or f16; joined along the outputs. */
  readonly sources: readonly Tensor[];
  readonly outputs: number;
  readonly inputs: number;
  readonly taps: number;
  readonly dtype: "f32" | "f16";
  readonly geglu?: boolean;
  readonly label: string;
}

/** `[taps, inputs, columns]` */
export function pack({ sources, outputs, inputs, taps, dtype, geglu = false, label }: PackRequest): Tensor {
  const { device } = sources[0]!;
  const columns = Math.ceil(outputs / (geglu ? 8 : 4)) * (geglu ? 8 : 4);
  const packed =
    columns === outputs
      ? Tensor.empty(device, [taps, inputs, columns], dtype, label)
      : Tensor.from(device, new Float32Array(taps * inputs * columns), [taps, inputs, columns], dtype, label);
  let first = 0;
  for (const source of sources) {
    const n = source.size / (inputs * taps);
    device.dispatch({
      label: `pack ${label}`,
      code: specialize(shaders.pack, { S: source.dtype, T: dtype }),
      bindings: [source.binding(), packed.binding()],
      params: [n, inputs, taps, first, columns, geglu ? 1 : 0],
      workgroups: grid(Math.ceil(source.size / 64), device.capabilities),
      flops: 0,
      bytes: source.size * (bytesPerElement(source.dtype) + bytesPerElement(dtype)),
    });
    first += n;
  }
  return packed;
}
