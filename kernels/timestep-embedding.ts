// diffusers' get_timestep_embedding (Ho et al. 2020, appendix B, after Vaswani et al. 2017).

import { specialize } from "../src/gpu/wgsl.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

export interface TimestepEmbeddingOptions {
  /** Cosines first (Stable Diffusion). */
  readonly flipSinToCos: boolean;
  readonly downscaleFreqShift: number;
  readonly dtype: "f32" | "f16";
}

/** f32 `[n]` → `[n, dim]`: cosines and sines of t · 10000^(−i / (dim/2 − shift)). @throws Error for an odd dim */
export function timestepEmbedding(
  timesteps: Tensor,
  dim: number,
  { flipSinToCos, downscaleFreqShift, dtype }: TimestepEmbeddingOptions,
): Tensor {
  if (dim % 2 !== 0) throw new Error(`timestepEmbedding: the dimension must be even, got ${dim}`);
  const { device } = timesteps;
  const half = dim / 2;
  const y = Tensor.empty(device, [timesteps.size, dim], dtype, "timestep embedding");
  device.scope(() => {
    // Rounded to f32 after each operation, as diffusers does: a timestep of 999 multiplies the difference by 999.
    const log = Math.fround(-Math.log(10000));
    const values = Float32Array.from({ length: half }, (_, i) =>
      Math.exp(Math.fround(Math.fround(log * i) / (half - downscaleFreqShift))),
    );
    const frequencies = Tensor.from(device, values, [half], "f32", "timestep frequencies");
    device.dispatch({
      label: "timestepEmbedding",
      code: specialize(shaders["timestep-embedding"], { T: dtype }),
      bindings: [timesteps.binding(), frequencies.binding(), y.binding()],
      params: [timesteps.size, half, flipSinToCos ? 1 : 0],
      workgroups: [Math.ceil(half / 64), timesteps.size, 1],
      flops: 8 * y.size,
      bytes: y.bytes,
    });
  });
  return y;
}
