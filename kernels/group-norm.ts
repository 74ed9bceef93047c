// GroupNorm in two passes: moments of each group over slices of rows, then their application. Two sources are read as if
// concatenated.

import { sizeClass } from "../src/gpu/tuning.js";
import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { elements, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { applyOnCpu, momentsOnCpu } from "./group-norm-cpu.js";
import { applyOnGpu, blockUnits, momentsOnGpu } from "./group-norm-gpu.js";
import { unitWidth, type Operands } from "./group-norm-parts.js";

export interface GroupNormOptions {
  readonly groups: number;
  readonly eps: number;
  /** f32 `[channels]` each. */
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** Applied to the result; default "none". */
  readonly activation?: "none" | "silu" | undefined;
  /** A second source whose channels follow x's, as if concatenated; groups may straddle the border. */
  readonly x2?: Tensor | undefined;
  /** Consecutive frames that are normalised together; default 1: each frame by itself. */
  readonly framesJointly?: number | undefined;
  readonly label?: string;
  /** Forces a variant, for tests and comparisons; default: by the adapter's kind. "plain" is the readable reference. */
  readonly variant?: "plain" | "cpu" | "gpu" | undefined;
}

/** Rows that a lane of the second pass writes on a GPU, by way: the first is the table's. Their results have the same bits. */
const LANE_ROWS = { gpu: 8, "gpu/4": 4, "gpu/16": 16 } as const;
const GPU_WAYS = ["gpu", "gpu/4", "gpu/16"] as const;

/**
 * torch.nn.functional.group_norm over `[frames, …, channels]` (channels last), with biased variance.
 * @throws Error where channels do not divide into groups, or the operands' shapes or dtypes do not fit
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const o = operandsOf(x, options);
  const y = Tensor.empty(x.device, [...x.shape.slice(0, -1), o.channels], x.dtype, o.label);
  if (options.variant === "plain") {
    plain(o, y);
    return y;
  }
  const block = gpuBlock(o);
  x.device.scope(() => {
    if (block === undefined) applyOnCpu(o, momentsOnCpu(o), 0, y);
    else {
      const site = () =>
        `group-norm ${x.dtype} ${sizeClass(o.sets)} of ${sizeClass(o.rows)} rows ${sizeClass(o.channels)} channels`;
      x.device.tuning.run(site, GPU_WAYS, (way) => applyOnGpu(o, momentsOnGpu(o, block), 0, y, block, LANE_ROWS[way]));
    }
  });
  return y;
}

/**
 * The same for some frames at a time, of one source: sums all of x up, and returns what normalises `some` frames of its set
 * number `set`, to the same bits. x itself may be overwritten as they are done.
 */
export function groupNormInRows(
  x: Tensor,
  options: Omit<GroupNormOptions, "x2">,
): (some: Tensor, set: number) => Tensor {
  const all = operandsOf(x, options);
  const block = gpuBlock(all);
  const moments = block === undefined ? momentsOnCpu(all) : momentsOnGpu(all, block);
  return (some, set) => {
    const o = operandsOf(some, { ...options, framesJointly: some.shape[0]! });
    const y = Tensor.empty(some.device, some.shape, some.dtype, o.label);
    if (block === undefined) applyOnCpu(o, moments, set, y);
    else applyOnGpu(o, moments, set, y, block, LANE_ROWS.gpu);
    return y;
  };
}

/** Units of a workgroup's block; undefined on software adapters, and for groups wider than workgroups, which no model has. */
function gpuBlock(o: Operands): number | undefined {
  const { groups, variant = o.x.device.capabilities.kind } = o.options;
  return variant === "gpu" ? blockUnits(o.channels / groups, groups, unitWidth(o)) : undefined;
}

function operandsOf(x: Tensor, options: GroupNormOptions): Operands {
  const { groups, weight, bias, x2, framesJointly = 1, label = "groupNorm" } = options;
  const frames = x.shape[0] ?? 0;
  const second = x2?.shape.at(-1) ?? 0;
  const channels = (x.shape.at(-1) ?? 0) + second;
  if (channels % groups !== 0)
    throw new Error(`groupNorm: ${channels} channels of ${String(x)} do not divide into ${groups} groups`);
  if (frames % framesJointly !== 0)
    throw new Error(
      `groupNorm: ${frames} frames of ${String(x)} are no multiple of the ${framesJointly} normalised together`,
    );
  if (x2) {
    expectShape(x2, [...x.shape.slice(0, -1), second], "groupNorm: x2");
    if (x2.dtype !== x.dtype) throw new Error(`groupNorm: x ${String(x)} and x2 ${String(x2)} must have one dtype`);
  }
  expectShape(weight, [channels], "groupNorm: weight");
  expectShape(bias, [channels], "groupNorm: bias");
  const sets = frames / framesJointly;
  return { x, options, label, sets, rows: elements(x.shape.slice(0, -1)) / sets, channels };
}

function plain({ x, options, label, sets, rows, channels }: Operands, y: Tensor): void {
  const { groups, eps, weight, bias, x2, activation } = options;
  x.device.dispatch({
    label,
    code: specialize(shaders["group-norm"], { T: x.dtype }),
    bindings: [x.binding(), (x2 ?? x).binding(), weight.binding(), bias.binding(), y.binding()],
    params: [rows, channels, x.shape.at(-1)!, groups, sets, Number(activation === "silu"), f32Bits(eps)],
    workgroups: [Math.ceil((groups * sets) / 8), 1, 1],
    flops: 8 * y.size,
    bytes: 4 * y.bytes,
  });
}
