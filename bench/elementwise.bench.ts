// Elementwise kernels on the activations of Stable Diffusion's first level, 32×32 latents, 16 frames.

import { activate, add, cast } from "../kernels/elementwise.js";
import { linearCombination } from "../kernels/linear-combination.js";
import { bytesPerElement, fromHalfBits, toHalfBits, type DType } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise } from "./operands.js";

const SHAPE = [16, 32, 32, 320];
const N = 16 * 32 * 32 * 320;

/** `op` on one tensor; `reference` on one value as it is stored; `words` read and written a value, in bytes. */
function unary(
  name: string,
  op: (x: Tensor) => Tensor,
  reference: (v: number) => number,
  flops: number,
  moved: (dtype: DType) => number = (dtype) => 2 * bytesPerElement(dtype),
): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const values = noise(N);
      const x = Tensor.from(device, values, SHAPE, dtype, "x");
      const stored = (v: number) => (dtype === "f16" ? fromHalfBits(toHalfBits(v)) : v);
      return {
        run: () => op(x),
        expected: () => Promise.resolve(values.map((v) => reference(stored(v)))),
        flops: flops * N,
        bytes: moved(dtype) * N,
        tolerance: dtype === "f32" ? 1e-6 : 1e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [
  {
    name: "elementwise-add",
    setup(device, dtype) {
      const values = noise(N);
      const a = Tensor.from(device, values, SHAPE, dtype, "a");
      const b = Tensor.from(device, values, SHAPE, dtype, "b");
      return {
        run: () => add(a, b),
        expected: () => Promise.resolve(values.map((v) => 2 * v)),
        flops: N,
        bytes: 3 * a.bytes,
        tolerance: dtype === "f32" ? 1e-6 : 1e-3,
      };
    },
  },
  unary(
    "elementwise-silu",
    (x) => activate(x, "silu"),
    (v) => v / (1 + Math.exp(-v)),
    4,
  ),
  unary(
    "elementwise-cast-f16",
    (x) => cast(x, "f16"),
    (v) => fromHalfBits(toHalfBits(v)),
    1,
    (dtype) => bytesPerElement(dtype) + 2,
  ),
  {
    name: "elementwise-sampler-step",
    setup(device) {
      // 16 frames of 64×64 latents, always f32
      const values = noise(16 * 64 * 64 * 4);
      const x = Tensor.from(device, values, [16, 64, 64, 4], "f32", "x");
      return {
        run: () =>
          linearCombination([
            [x, 0.5],
            [x, 0.25],
            [x, -2],
          ]),
        expected: () => Promise.resolve(values.map((v) => -1.25 * v)),
        flops: 6 * values.length,
        bytes: 16 * values.length,
        tolerance: 1e-6,
      };
    },
  },
];
