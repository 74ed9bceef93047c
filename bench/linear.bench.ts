// A feed-forward projection of Stable Diffusion's first level, 32×32 latents.

import { linear, packLinear } from "../kernels/linear.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise, read } from "./operands.js";

function projection(name: string, rows: number, inputs: number, outputs: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const x = Tensor.from(device, noise(rows * inputs), [rows, inputs], dtype, "x");
      const raw = Tensor.from(device, noise(outputs * inputs), [outputs, inputs], dtype, "weight");
      const bias = Tensor.from(device, noise(outputs), [outputs], "f32", "bias");
      const w = packLinear(raw);
      return {
        run: () => linear(x, w, { bias, label: name }),
        expected: () => read(linear(x, w, { bias, variant: "plain", label: name })),
        flops: 2 * rows * inputs * outputs,
        bytes: (rows * inputs + inputs * outputs + rows * outputs) * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [projection("linear-1024x320x2560", 1024, 320, 2560)];
