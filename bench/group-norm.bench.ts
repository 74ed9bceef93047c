// GroupNorm of Stable Diffusion's first level, 32×32 latents, 16 frames.

import { groupNorm } from "../kernels/group-norm.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise, read } from "./operands.js";

function norm(name: string, frames: number, size: number, channels: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const n = frames * size * size * channels;
      const x = Tensor.from(device, noise(n), [frames, size, size, channels], dtype, "x");
      const weight = Tensor.from(device, noise(channels), [channels], "f32", "weight");
      const bias = Tensor.from(device, noise(channels).toReversed(), [channels], "f32", "bias");
      const options = { groups: 32, eps: 1e-5, weight, bias, label: name };
      return {
        run: () => groupNorm(x, options),
        expected: () => read(groupNorm(x, { ...options, variant: "plain" })),
        flops: 8 * n,
        bytes: 2 * n * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [norm("group-norm-16x32x32x320", 16, 32, 320)];
