// Plain matrix products, the packing of the second operand included.

import { matmul } from "../kernels/matmul.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise, read } from "./operands.js";

function square(name: string, n: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const a = Tensor.from(device, noise(n * n), [n, n], dtype, "a");
      const b = Tensor.from(device, noise(n * n), [n, n], dtype, "b");
      return {
        run: () => matmul(a, b, name),
        expected: () => read(matmul(a, b, name, "plain")),
        flops: 2 * n ** 3,
        bytes: 3 * n * n * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [square("matmul-512", 512)];
