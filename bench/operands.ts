// Values for benchmarks, and reading of results.

import type { Tensor } from "../src/tensor/tensor.js";

/** Values in -1 … 1 without structure, the same in every run for a seed. */
export function noise(n: number, seed = 1): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Reads a result and frees it. */
export async function read(y: Tensor): Promise<Float32Array> {
  using result = y;
  return await result.read();
}
