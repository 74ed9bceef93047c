// GroupNorm in three passes: sums per channel and slice of rows, statistics per group, then the normalisation.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import type { Binding } from "../src/gpu/work.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { elements, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

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
}

/** Rows per thread of the last pass: `ROWS` of group-norm.wgsl. */
const ROWS = 8;

/** A run of rows of one or several sets, bound by range so that no binding exceeds the adapter's limit. */
interface Part {
  readonly set: number;
  readonly sets: number;
  readonly row: number;
  readonly rows: number;
}

/**
 * torch.nn.functional.group_norm over `[frames, …, channels]` (channels last), with biased variance.
 * @throws Error where channels do not divide into groups, or the operands' shapes or dtypes do not fit
 */
export function groupNorm(x: Tensor, options: GroupNormOptions): Tensor {
  const { groups, eps, weight, bias, x2, framesJointly = 1, activation = "none", label = "groupNorm" } = options;
  const { device, dtype } = x;
  const frames = x.shape[0] ?? 0;
  const first = x.shape.at(-1) ?? 0;
  const second = x2?.shape.at(-1) ?? 0;
  const channels = first + second;
  if (channels % groups !== 0) throw new Error(`groupNorm: ${channels} channels of ${String(x)} do not divide into ${groups} groups`);
  if (frames % framesJointly !== 0) throw new Error(`groupNorm: ${frames} frames of ${String(x)} are no multiple of the ${framesJointly} normalised together`);
  if (x2) {
    expectShape(x2, [...x.shape.slice(0, -1), second], "groupNorm: x2");
    if (x2.dtype !== dtype) throw new Error(`groupNorm: x ${String(x)} and x2 ${String(x2)} must have one dtype`);
  }
  expectShape(weight, [channels], "groupNorm: weight");
  expectShape(bias, [channels], "groupNorm: bias");
  const sets = frames / framesJointly;
  const rows = elements(x.shape.slice(0, -1)) / sets;
  const element = bytesPerElement(dtype);
  const y = Tensor.empty(device, [...x.shape.slice(0, -1), channels], dtype, label);

  // Slices long enough that their partial sums are few, short enough that all of a device is busy.
  const sliceRows = Math.max(16, Math.ceil(rows / 64));
  const slices = Math.ceil(rows / sliceRows);
  device.scope(() => {
    const partial = Tensor.empty(device, [sets, slices, channels, 2], "f32", "groupNorm sums");
    const stats = Tensor.empty(device, [sets, groups, 2], "f32", "groupNorm statistics");
    const range = (t: Tensor, { set, sets: n, row, rows: r }: Part, width: number): Binding =>
      t.binding((set * rows + row) * width * element, ((n - 1) * rows + r) * width * element);
    const parts = split(sets, rows, Math.max(first, second, channels) * element, sliceRows, device.capabilities);
    for (const part of parts) {
      const n = Math.ceil(part.rows / sliceRows);
      device.dispatch({
        label: `${label} sums`,
        code: specialize(shaders["group-norm-sums"], { T: dtype }),
        bindings: [range(x, part, first), x2 ? range(x2, part, second) : range(x, part, first), partial.binding()],
        params: [part.rows, channels, first, n, sliceRows, part.set * slices + part.row / sliceRows],
        workgroups: [Math.ceil(channels / 64), n, part.sets],
        flops: 3 * part.sets * part.rows * channels,
        bytes: part.sets * part.rows * channels * element,
      });
    }
    device.dispatch({
      label: `${label} statistics`,
      code: specialize(shaders["group-norm-stats"], {}),
      bindings: [partial.binding(), stats.binding()],
      params: [rows, channels, slices, sliceRows, groups, sets, f32Bits(eps)],
      workgroups: [Math.ceil((groups * sets) / 32), 1, 1],
      flops: 8 * sets * slices * channels,
      bytes: partial.bytes + stats.bytes,
    });
    for (const part of parts) {
      device.dispatch({
        label,
        code: specialize(shaders["group-norm"], { T: dtype }),
        bindings: [
          range(x, part, first),
          x2 ? range(x2, part, second) : range(x, part, first),
          stats.binding(),
          weight.binding(),
          bias.binding(),
          range(y, part, channels),
        ],
        params: [part.rows, channels, first, groups, part.set, activation === "silu" ? 1 : 0],
        workgroups: [Math.ceil(channels / 64), Math.ceil(part.rows / ROWS), part.sets],
        flops: (activation === "silu" ? 8 : 2) * part.sets * part.rows * channels,
        bytes: 2 * part.sets * part.rows * channels * element,
      });
    }
  });
  return y;
}

/** All sets at once where they fit a binding and a dispatch; else set by set; else a set in runs of whole slices. */
function split(sets: number, rows: number, rowBytes: number, sliceRows: number, limits: { maxBinding: number; maxWorkgroups: number }): Part[] {
  const maxRows = Math.min(Math.floor(limits.maxBinding / rowBytes), limits.maxWorkgroups * ROWS);
  if (sets * rows * rowBytes <= limits.maxBinding && rows <= maxRows && sets <= limits.maxWorkgroups) return [{ set: 0, sets, row: 0, rows }];
  // 256 rows keep every offset aligned, whatever the width.
  const step = Math.max(1, Math.floor(maxRows / lcm(sliceRows, 256))) * lcm(sliceRows, 256);
  const parts: Part[] = [];
  for (let set = 0; set < sets; set++)
    for (let row = 0; row < rows; row += step) parts.push({ set, sets: 1, row, rows: Math.min(step, rows - row) });
  return parts;
}

function lcm(a: number, b: number): number {
  const gcd = (m: number, n: number): number => (n === 0 ? m : gcd(n, m % n));
  return (a / gcd(a, b)) * b;
}
