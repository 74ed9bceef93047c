// The five ladders. Steps without a kernel in the engine are shaders in docs/course/shaders, dispatched here.

import { attention, temporalAttention } from "../../kernels/attention.js";
import { conv2d, packConv2d } from "../../kernels/conv2d.js";
import type { GemmVariant } from "../../kernels/gemm.js";
import { groupNorm } from "../../kernels/group-norm.js";
import { permute } from "../../kernels/latents.js";
import { matmul } from "../../kernels/matmul.js";
import type { Device } from "../../src/gpu/device.js";
import type { Capabilities } from "../../src/gpu/limits.js";
import { f32Bits, specialize } from "../../src/gpu/wgsl.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { noise } from "../operands.js";
import { source, type Ladder, type LadderOf, type Step } from "./ladder.js";

const COURSE = "docs/course/shaders";
const software = (device: Device) => device.capabilities.kind === "cpu";

/** A variant of the engine's that is made for the other kind of adapter still runs, unless it needs this. */
const wantsLanes = (c: Capabilities): string | undefined =>
  c.subgroups && [4, 8, 16].includes(c.subgroupSize) ? undefined : "wants subgroups of 4, 8 or 16 lanes";
const wantsEight = (c: Capabilities): string | undefined =>
  c.subgroups && c.subgroupSize === 8 ? undefined : "made for software adapters with subgroups of 8";
const wantsMatrix = (c: Capabilities): string | undefined =>
  c.subgroupMatrix && c.subgroupSize === 32 && c.f16 ? undefined : "wants tensor cores";

const ownMatmul: LadderOf = (device, small) => {
  const n = small ? 64 : software(device) ? 384 : 2048;
  const a = Tensor.from(device, noise(n * n, 1), [n, n], "f32", "a");
  const b = Tensor.from(device, noise(n * n, 2), [n, n], "f32", "b");
  const lanes = device.capabilities.subgroupSize;
  const step = (file: string, title: string, x: number, y: number, tunables: Record<string, string> = {}): Step => ({
    title,
    files: [`${COURSE}/${file}.wgsl`],
    run: () => {
      const out = Tensor.empty(device, [n, n], "f32", title);
      device.dispatch({
        label: title,
        code: specialize(source(`${COURSE}/${file}.wgsl`), tunables),
        bindings: [a.binding(), b.binding(), out.binding()],
        params: [n, n, n],
        workgroups: [Math.ceil(n / x), Math.ceil(n / y), 1],
        flops: 2 * n ** 3,
        bytes: 12 * n * n,
      });
      return out;
    },
  });
  const engine = software(device) ? "shaders/gemm-cpu.wgsl" : "shaders/gemm-gpu.wgsl";
  return {
    name: "matmul",
    title: "Matrix multiplication",
    task: `two ${n} × ${n} matrices of f32`,
    flops: 2 * n ** 3,
    bytes: 12 * n * n,
    tolerance: 1e-5,
    steps: [
      { title: "Plain", files: ["shaders/matmul.wgsl"], run: () => matmul(a, b, "matmul", "plain") },
      step("matmul-2-columns", "Four columns a thread", 32, 8),
      step("matmul-3-block", "A block in registers", 32, 32),
      step("matmul-4-tile", "Tiles in workgroup memory", 64, 64),
      {
        ...step("matmul-5-subgroup", "Passed round a subgroup", 4 * lanes, lanes, { LANES: `${lanes}u` }),
        lacks: wantsLanes,
      },
      { title: "The engine's, packing included", files: [engine, "shaders/gemm-pack.wgsl"], run: () => matmul(a, b) },
    ],
  };
};

const convolution: LadderOf = (device, small) => {
  const [size, channels] = small ? [6, 32] : software(device) ? [16, 128] : [64, 320];
  const frames = small || software(device) ? 1 : 16;
  const x = Tensor.from(device, noise(frames * size * size * channels), [frames, size, size, channels], "f32", "x");
  const raw = Tensor.from(device, noise(channels ** 2 * 9, 2), [channels, channels, 3, 3], "f32", "weight");
  const w = packConv2d(raw);
  const half = packConv2d(raw, { dtype: "f16" });
  const transformed = packConv2d(raw, { dtype: "f16", form: "winograd" });
  const step = (variant: GemmVariant, title: string, extra: Partial<Step> = {}, weights = w): Step => ({
    title,
    files: [`shaders/${variant === "plain" ? "gemm" : `gemm-${variant}`}.wgsl`],
    run: () => conv2d(x, weights, { padding: [1, 1, 1, 1], variant, label: title }),
    ...extra,
  });
  const best = software(device) ? "cpu" : "gpu";
  return {
    name: "convolution",
    title: "Convolution",
    task: `a 3 × 3 convolution, ${frames} × ${size} × ${size} pixels, ${channels} to ${channels} channels`,
    flops: 2 * frames * size * size * channels * channels * 9,
    bytes: 4 * (2 * frames * size * size * channels + channels * channels * 9),
    tolerance: 2e-3, // the last steps round the weights to f16
    steps: [
      step("plain", "Plain: a product that is never stored"),
      step("block", "Sixteen pixels for four threads"),
      step("gpu", "Tiles in workgroup memory"),
      step("cpu", "Passed round a subgroup", { lacks: wantsEight }),
      step(
        best,
        "Weights in half the bytes",
        {
          files: [`shaders/lib/${best === "cpu" ? "quad-f16-4" : "pair-f16"}.wgsl`],
          ...(best === "cpu" && { lacks: wantsEight }),
        },
        half,
      ),
      step(
        best,
        "Sixteen products for thirty-six",
        {
          files: ["shaders/winograd-input.wgsl", "shaders/winograd-output.wgsl"],
          ...(best === "cpu" && { lacks: wantsEight }),
        },
        transformed,
      ),
      {
        title: "Tensor cores",
        files: ["shaders/gemm-matrix.wgsl"],
        lacks: wantsMatrix,
        run: () => {
          using h = Tensor.from(device, noise(x.size), x.shape, "f16", "x");
          return conv2d(h, half, { padding: [1, 1, 1, 1], variant: "matrix" });
        },
      },
    ],
  };
};

const norm: LadderOf = (device, small) => {
  const [frames, size, channels] = small ? [2, 4, 64] : software(device) ? [4, 32, 320] : [16, 64, 320];
  const n = frames * size * size * channels;
  const x = Tensor.from(device, noise(n), [frames, size, size, channels], "f32", "x");
  const weight = Tensor.from(device, noise(channels, 2), [channels], "f32", "weight");
  const bias = Tensor.from(device, noise(channels, 3), [channels], "f32", "bias");
  const options = { groups: 32, eps: 1e-5, weight, bias };
  return {
    name: "group-norm",
    title: "GroupNorm",
    task: `${frames} frames of ${size} × ${size} pixels, ${channels} channels in 32 groups`,
    flops: 8 * n,
    bytes: 8 * n,
    tolerance: 1e-5,
    steps: [
      {
        title: "Plain: a thread a group",
        files: ["shaders/group-norm.wgsl"],
        run: () => groupNorm(x, { ...options, variant: "plain" }),
      },
      {
        title: "A workgroup a group",
        files: [`${COURSE}/group-norm-2-team.wgsl`],
        run: () => {
          const y = Tensor.empty(device, x.shape, "f32", "team");
          device.dispatch({
            label: "team",
            code: source(`${COURSE}/group-norm-2-team.wgsl`),
            bindings: [x, weight, bias, y].map((t) => t.binding()),
            params: [size * size, channels, 32, f32Bits(1e-5)],
            workgroups: [32, frames, 1],
            flops: 8 * n,
            bytes: 16 * n,
          });
          return y;
        },
      },
      {
        title: "Two passes in the order of memory",
        files: ["shaders/group-norm-cpu-sums.wgsl", "shaders/group-norm-cpu-apply.wgsl"],
        run: () => groupNorm(x, { ...options, variant: "cpu" }),
      },
      {
        title: "Two passes by workgroups",
        files: ["shaders/group-norm-gpu-moments.wgsl", "shaders/group-norm-gpu-apply.wgsl"],
        run: () => groupNorm(x, { ...options, variant: "gpu" }),
      },
    ],
  };
};

const flash: LadderOf = (device, small) => {
  const [rows, heads, headDim] = small ? [40, 2, 16] : software(device) ? [512, 4, 40] : [4096, 8, 40];
  const width = heads * headDim;
  const [q, k, v] = [1, 2, 3].map((seed) =>
    Tensor.from(device, noise(rows * width, seed), [1, rows, width], "f32", "qkv"),
  ) as [Tensor, Tensor, Tensor];
  const variant = software(device) ? "cpu" : "gpu";
  const file = `${COURSE}/attention-2-online.wgsl`;
  return {
    name: "attention",
    title: "Attention",
    task: `${rows} tokens to each other, ${heads} heads of ${headDim} channels`,
    flops: 4 * rows * rows * width,
    bytes: 16 * rows * width,
    tolerance: 1e-5,
    steps: [
      {
        title: "Plain: two passes over the keys",
        files: ["shaders/attention.wgsl"],
        run: () => attention(q, k, v, { heads, headDim, variant: "plain" }),
      },
      {
        title: "One pass: online softmax",
        files: [file],
        run: () => {
          const y = Tensor.empty(device, [1, rows, width], "f32", "online");
          device.dispatch({
            label: "online",
            code: specialize(source(file), { HEAD_DIM: `${headDim}u` }),
            bindings: [q, k, v, y].map((t) => t.binding()),
            params: [rows, rows, heads, f32Bits(headDim ** -0.5)],
            workgroups: [Math.ceil((rows * heads) / 64), 1, 1],
            flops: 4 * rows * rows * width,
            bytes: 16 * rows * width,
          });
          return y;
        },
      },
      {
        title: "Keys shared by many queries",
        files: [`shaders/attention-${variant}.wgsl`],
        ...(variant === "cpu" && {
          lacks: (c: Capabilities) =>
            c.subgroups && [4, 8].includes(c.subgroupSize) ? undefined : "wants subgroups of 4 or 8 lanes",
        }),
        run: () => attention(q, k, v, { heads, headDim, variant }),
      },
    ],
  };
};

const temporal: LadderOf = (device, small) => {
  const [frames, positions, heads, headDim] = small
    ? [4, 12, 2, 16]
    : software(device)
      ? [16, 256, 8, 40]
      : [16, 4096, 8, 40];
  const width = heads * headDim;
  const qkv = Tensor.from(device, noise(frames * positions * 3 * width), [frames, positions, 3 * width], "f32", "qkv");
  const columns = (i: number) => ({ tensor: qkv, start: i * width });
  const options = { heads, headDim, frames };
  return {
    name: "temporal",
    title: "Attention over frames",
    task: `${frames} frames to each other at ${positions} positions, ${heads} heads of ${headDim} channels`,
    flops: 4 * positions * frames * frames * width,
    bytes: 16 * positions * frames * width,
    tolerance: 1e-5,
    steps: [
      {
        title: "Transposed for an ordinary attention",
        files: ["shaders/latents-permute.wgsl", "shaders/attention.wgsl"],
        run: () =>
          device.scope(() => {
            const turned = permute(qkv, [1, 0, 2]); // [positions, frames, 3 · width]
            const at = (i: number) => ({ tensor: turned, start: i * width });
            const y = attention(at(0), at(1), at(2), { heads, headDim, variant: "plain" });
            return permute(y, [1, 0, 2]);
          }),
      },
      {
        title: "In place, striding over frames",
        files: ["kernels/attention-run.ts"],
        run: () => temporalAttention(columns(0), columns(1), columns(2), { ...options, variant: "plain" }),
      },
      {
        title: "Keys shared by the queries",
        files: [`shaders/attention-${software(device) ? "cpu" : "gpu"}.wgsl`],
        run: () => temporalAttention(columns(0), columns(1), columns(2), options),
      },
    ],
  };
};

export const LADDERS = { matmul: ownMatmul, convolution, "group-norm": norm, attention: flash, temporal } as const;

export type LadderName = keyof typeof LADDERS;

/** A ladder's operands are freed by `dispose`. */
export function ladderOn(
  device: Device,
  name: LadderName,
  small = false,
): { readonly ladder: Ladder; readonly dispose: () => void } {
  const held = device.hold(() => LADDERS[name](device, small));
  return { ladder: held.result, dispose: () => held.dispose() };
}
