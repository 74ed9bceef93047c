// What both ways of GroupNorm share: operands, and runs of rows within the adapter's bindings.

import type { Capabilities } from "../src/gpu/limits.js";
import type { Binding } from "../src/gpu/work.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { widthOf, window } from "./vectors.js";
import type { GroupNormOptions } from "./group-norm.js";

/** A run of rows of one or several sets, bound by range so that no binding exceeds the adapter's limit. */
export interface Part {
  readonly set: number;
  readonly sets: number;
  readonly row: number;
  readonly rows: number;
}

/** A GroupNorm whose operands fit. */
export interface Operands {
  readonly x: Tensor;
  readonly options: GroupNormOptions;
  readonly label: string;
  readonly sets: number;
  /** Rows of a set. */
  readonly rows: number;
  readonly channels: number;
}

/** What the first pass leaves for the second, on this adapter's kind. */
export interface Moments {
  readonly partial: Tensor;
  /** Slices of a set, and rows of each but the last. */
  readonly slices: number;
  readonly sliceRows: number;
  /** Rows of a set. */
  readonly rows: number;
}

/** Channels of a unit of memory in all of the operands: four, or one. */
export function unitWidth({ x, channels }: Operands): 1 | 4 {
  const first = x.shape.at(-1)!;
  return widthOf(first, channels - first);
}

/** Rows that fit a binding with what aligning its start may add. */
export function mostRows({ x, channels }: Operands, { maxBinding, alignment }: Capabilities): number {
  return Math.floor((maxBinding - alignment) / (channels * bytesPerElement(x.dtype)));
}

/** The rows of a part in a source or in y, with the number of units before the first. */
export function bind(t: Tensor, o: Operands, part: Part): { readonly binding: Binding; readonly skip: number } {
  const own = t.shape.at(-1)!;
  const start = (part.set * o.rows + part.row) * own;
  return window(t, start, ((part.sets - 1) * o.rows + part.rows) * own, unitWidth(o));
}

/** All sets at once where they fit a binding; else as many as fit; else a set in runs of whole slices. */
export function split(o: Operands, sliceRows: number, limits: Capabilities): readonly Part[] {
  const { sets, rows } = o;
  const most = mostRows(o, limits);
  if (sliceRows > Math.max(most, rows + 3))
    throw new Error(`groupNorm: ${sliceRows} rows exceed this adapter's largest binding of ${limits.maxBinding} bytes`);
  const parts: Part[] = [];
  const together = Math.min(sets, Math.floor(most / rows), limits.maxWorkgroups);
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
