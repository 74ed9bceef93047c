// GroupNorm in three passes, each reading or writing memory once: moments per channel and slice of rows, a factor and an
// offset per channel, then their application. Two sources are read as if concatenated.

import type { Capabilities } from "../src/gpu/limits.js";
import { sizeClass } from "../src/gpu/tuning.js";
import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { elements, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { units, unitType, unpacking, widthOf, window } from "./vectors.js";

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

/**
 * What the variants change: threads a workgroup, threads wanted in the first pass, rows a thread in the last (cpu: as many as
 * leave it as many threads as the first, a tenth faster on llvmpipe than 32 rows).
 */
const TUNING = {
  cpu: { lanes: 64, statsLanes: 8, threads: 2048, rows: undefined },
  gpu: { lanes: 64, statsLanes: 64, threads: 2 ** 17, rows: 8 },
  "gpu/4": { lanes: 64, statsLanes: 64, threads: 2 ** 17, rows: 4 },
  "gpu/16": { lanes: 64, statsLanes: 64, threads: 2 ** 17, rows: 16 },
} as const;

/** A variant of three passes, the default one of its kind or with other numbers of rows a thread. */
type Way = keyof typeof TUNING;

/** The ways to try on an adapter, the table's first. Their results have the same bits. */
const WAYS = { cpu: ["cpu"], gpu: ["gpu", "gpu/4", "gpu/16"] } as const satisfies Record<string, [Way, ...Way[]]>;

/** A run of rows of one or several sets, bound by range so that no binding exceeds the adapter's limit. */
interface Part {
  readonly set: number;
  readonly sets: number;
  readonly row: number;
  readonly rows: number;
}

interface Operands {
  readonly x: Tensor;
  readonly options: GroupNormOptions;
  readonly label: string;
  readonly sets: number;
  /** Rows of a set. */
  readonly rows: number;
  readonly channels: number;
}

/** How an adapter takes them: rows a slice, and runs of rows that fit a binding. */
interface Layout {
  readonly sources: readonly { readonly t: Tensor; readonly channels: number; readonly first: number }[];
  /** Channels of a unit that a thread reads. */
  readonly width: 1 | 4;
  readonly columns: number;
  readonly sliceRows: number;
  readonly wanted: number;
  readonly parts: readonly Part[];
}

/**
 * torch.nn.functional.group_norm over `[frames, …, channels]` (channels last), with biased variance.
 * @throws Error where channels do not divide into groups, or the operands' shapes or dtypes do not fit
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const operands = operandsOf(x, options);
  const { sets, rows, channels, label } = operands;
  const y = Tensor.empty(x.device, [...x.shape.slice(0, -1), channels], x.dtype, label);
  const variant = options.variant ?? x.device.capabilities.kind;
  if (variant === "plain") plain(operands, y);
  else {
    const site = () =>
      `group-norm ${x.dtype} ${sizeClass(sets)} of ${sizeClass(rows)} rows ${sizeClass(channels)} channels`;
    x.device.tuning.run<Way>(site, WAYS[variant], (way) => {
      x.device.scope(() => apply(operands, statistics(operands, TUNING[way]), y, TUNING[way]));
    });
  }
  return y;
}

/** The first two of three passes: what `groupNormRows` applies, `[frames / framesJointly, …]`, f32. */
export function groupNormStatistics(x: Tensor, options: GroupNormOptions): Tensor {
  return x.device.scope(() => statistics(operandsOf(x, options), TUNING[x.device.capabilities.kind]));
}

/**
 * The last pass for some of the frames that were normalised jointly: `x [count, …, channels]` with its set's entry
 * `[1, …]` of the statistics.
 */
export function groupNormRows(x: Tensor, affine: Tensor, options: GroupNormOptions): Tensor {
  const { label = "groupNorm" } = options;
  const operands = operandsOf(x, { ...options, framesJointly: x.shape[0]! });
  const y = Tensor.empty(x.device, x.shape, x.dtype, label);
  apply(operands, affine, y, TUNING[x.device.capabilities.kind]);
  return y;
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

function layoutOf({ x, options: { x2 }, sets, rows, channels }: Operands, tuning: (typeof TUNING)[Way]): Layout {
  const limits = x.device.capabilities;
  const sources = [x, ...(x2 ? [x2] : [])].map((t, i) => ({
    t,
    channels: t.shape.at(-1)!,
    first: i === 0 ? 0 : x.shape.at(-1)!,
  }));
  const width = widthOf(...sources.map((s) => s.channels));
  const columns = channels / width;
  // Slices long enough that their moments are few, short enough that all of the device is busy and sums stay exact.
  const wanted = Math.ceil((rows * sets * columns) / tuning.threads / 4) * 4;
  const most = Math.floor((limits.maxBinding - limits.alignment) / (channels * bytesPerElement(x.dtype)));
  const sliceRows = Math.max(4, Math.min(Math.max(16, wanted), 4096, Math.floor(most / 4) * 4));
  return { sources, width, columns, sliceRows, wanted, parts: split(sets, rows, most, sliceRows, limits) };
}

/** Calls `body` for each source and run of rows, with what it binds. */
function each(
  { rows }: Operands,
  { sources, parts, width }: Layout,
  body: (s: Layout["sources"][number], part: Part, source: ReturnType<typeof window>) => void,
): void {
  for (const part of parts)
    for (const s of sources) {
      const [first, size] = [part.set * rows + part.row, (part.sets - 1) * rows + part.rows];
      body(s, part, window(s.t, first * s.channels, size * s.channels, width));
    }
}

/** Moments, and of them a factor and an offset per set and channel: `[sets, columns, (factor, offset), width]`. */
function statistics(operands: Operands, tuning: (typeof TUNING)[Way]): Tensor {
  const { x, options, label, sets, rows, channels } = operands;
  const { device, dtype } = x;
  const { groups, eps, weight, bias } = options;
  const limits = device.capabilities;
  const { lanes } = tuning;
  const layout = layoutOf(operands, tuning);
  const { width, columns, sliceRows } = layout;
  const slices = Math.ceil(rows / sliceRows);
  const partial = Tensor.empty(device, [sets, slices, columns, 2, width], "f32", "groupNorm moments");
  const affine = Tensor.empty(device, [sets, columns, 2, width], "f32", "groupNorm affine");
  const vector = { V: unitType(dtype, width, limits), F: width === 4 ? "vec4f" : "f32", LANES: `${lanes}u` };
  each(operands, layout, (s, part, { binding, skip }) => {
    const n = Math.ceil(part.rows / sliceRows);
    const threads = (part.sets * n * s.channels) / width;
    device.dispatch({
      label: `${label} moments`,
      code: specialize(shaders["group-norm-sums"], { ...vector, ...unpacking(dtype, width, limits) }),
      bindings: [binding, partial.binding()],
      params: [
        part.rows,
        s.channels / width,
        columns,
        s.first / width,
        n,
        sliceRows,
        part.set * slices + part.row / sliceRows,
        skip,
        threads,
      ],
      workgroups: grid(Math.ceil(threads / lanes), limits),
      flops: 4 * part.sets * part.rows * s.channels,
      bytes: part.sets * part.rows * s.channels * bytesPerElement(dtype),
    });
  });
  device.dispatch({
    label: `${label} statistics`,
    code: specialize(shaders["group-norm-stats"], { WIDTH: `${width}u`, LANES: `${tuning.statsLanes}u` }),
    bindings: [partial.binding(), weight.binding(), bias.binding(), affine.binding()],
    params: [rows, channels, slices, sliceRows, groups, f32Bits(eps)],
    workgroups: [groups, sets, 1],
    flops: 8 * sets * slices * channels,
    bytes: partial.bytes + affine.bytes,
  });
  return affine;
}

/** `y = x · factor + offset`, then the activation. */
function apply(operands: Operands, affine: Tensor, y: Tensor, tuning: (typeof TUNING)[Way]): void {
  const { x, options, label, rows, channels } = operands;
  const { device, dtype } = x;
  const limits = device.capabilities;
  const { lanes } = tuning;
  const layout = layoutOf(operands, tuning);
  const { width, columns } = layout;
  const blockRows = tuning.rows ?? Math.max(4, layout.wanted);
  const silu = Number(options.activation === "silu");
  each(operands, layout, (s, part, { binding, skip }) => {
    const target = window(
      y,
      (part.set * rows + part.row) * channels,
      ((part.sets - 1) * rows + part.rows) * channels,
      width,
    );
    const blocks = Math.ceil(part.rows / blockRows);
    const threads = (part.sets * blocks * s.channels) / width;
    device.dispatch({
      label,
      code: specialize(shaders["group-norm-apply"], {
        ...units(dtype, width, limits),
        LANES: `${lanes}u`,
      }),
      bindings: [binding, affine.binding(), target.binding],
      params: [
        part.rows,
        s.channels / width,
        columns,
        s.first / width,
        blockRows,
        blocks,
        part.set,
        skip,
        target.skip,
        silu,
        threads,
      ],
      workgroups: grid(Math.ceil(threads / lanes), limits),
      flops: (silu ? 8 : 2) * part.sets * part.rows * s.channels,
      bytes: 2 * part.sets * part.rows * s.channels * bytesPerElement(dtype),
    });
  });
}

/** All sets at once where they fit a binding; else as many as fit; else a set in runs of whole slices. */
function split(sets: number, rows: number, most: number, sliceRows: number, limits: Capabilities): Part[] {
  if (sliceRows > Math.max(most, rows + 3))
    throw new Error(`groupNorm: ${sliceRows} rows exceed this adapter's largest binding of ${limits.maxBinding} bytes`);
  const parts: Part[] = [];
  const together = Math.min(sets, Math.floor(most / rows));
  if (together > 0) {
    for (let set = 0; set < sets; set += together)
      parts.push({ set, sets: Math.min(together, sets - set), row: 0, rows });
    return parts;
  }
  const step = Math.floor(most / sliceRows) * sliceRows;
  for (let set = 0; set < sets; set++)
    for (let row = 0; row < rows; row += step) parts.push({ set, sets: 1, row, rows: Math.min(step, rows - row) });
  return parts;
}
