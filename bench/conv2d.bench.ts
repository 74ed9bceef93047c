// The 3×3 convolutions of Stable Diffusion's residual blocks, one frame of 32×32 latents.

import { conv2d, packConv2d } from "../kernels/conv2d.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise, read } from "./operands.js";

function same(name: string, channels: number, size: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const x = Tensor.from(device, noise(size * size * channels), [1, size, size, channels], dtype, "x");
      const raw = Tensor.from(device, noise(channels ** 2 * 9), [channels, channels, 3, 3], dtype, "weight");
      const bias = Tensor.from(device, noise(channels), [channels], "f32", "bias");
      const w = packConv2d(raw);
      const options = { bias, padding: [1, 1, 1, 1], label: name } as const;
      return {
        run: () => conv2d(x, w, options),
        expected: () => read(conv2d(x, w, { ...options, variant: "plain" })),
        flops: 2 * size ** 2 * channels ** 2 * 9,
        bytes: (2 * size ** 2 * channels + channels ** 2 * 9) * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [
  same("conv3x3-320@32", 320, 32),
  same("conv3x3-640@16", 640, 16),
  same("conv3x3-1280@8", 1280, 8),
];
