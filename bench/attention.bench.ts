// Attention as Stable Diffusion has it at 32×32 latents: within a frame, to the text, and over 16 frames.

import { attention, temporalAttention, type Columns } from "../kernels/attention.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";

const HEADS = 8;
const HEAD_DIM = 40;
const WIDTH = HEADS * HEAD_DIM;

/** Values without structure, the same in every run. */
function values(n: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 4;
  });
}

/** `rows` queries to `keys` keys in one sequence. */
function spatial(name: string, rows: number, keys: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const q = Tensor.from(device, values(rows * WIDTH), [1, rows, WIDTH], dtype, "q");
      const kv = Tensor.from(device, values(keys * 2 * WIDTH), [1, keys, 2 * WIDTH], dtype, "kv");
      const options = { heads: HEADS, headDim: HEAD_DIM, label: name };
      const run = (variant?: "plain") =>
        attention(
          q,
          { tensor: kv, start: 0 },
          { tensor: kv, start: WIDTH },
          { ...options, ...(variant ? { variant } : {}) },
        );
      return {
        run,
        expected: () => readAndFree(run("plain")),
        flops: 4 * rows * keys * WIDTH,
        bytes: (2 * rows + 2 * keys) * WIDTH * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

/** Over frames at every position. */
function temporal(name: string, positions: number, frames: number): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const qkv = Tensor.from(
        device,
        values(frames * positions * 3 * WIDTH),
        [frames, positions, 3 * WIDTH],
        dtype,
        "qkv",
      );
      const columns = (i: number): Columns => ({ tensor: qkv, start: i * WIDTH });
      const options = { heads: HEADS, headDim: HEAD_DIM, frames, label: name };
      const run = (variant?: "plain") =>
        temporalAttention(columns(0), columns(1), columns(2), { ...options, ...(variant ? { variant } : {}) });
      return {
        run,
        expected: () => readAndFree(run("plain")),
        flops: 4 * positions * frames * frames * WIDTH,
        bytes: 4 * positions * frames * WIDTH * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

async function readAndFree(y: Tensor): Promise<Float32Array> {
  using result = y;
  return await result.read();
}

export const cases: BenchCase[] = [
  spatial("attention-self-1024-8x40", 1024, 1024),
  spatial("attention-cross-1024x77-8x40", 1024, 77),
  temporal("attention-temporal-1024x16-8x40", 1024, 16),
];
