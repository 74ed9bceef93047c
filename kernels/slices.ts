// Splitting work so that bindings and grids stay within the adapter's limits.

import type { Capabilities } from "../src/gpu/limits.js";

/** A run of rows. */
export interface Rows {
  readonly first: number;
  readonly count: number;
}

/**
 * Runs of at most so many rows that a binding of `rowBytes` bytes each stays within the limit. All but the last have a
 * multiple of `step` rows, which must keep `step · rowBytes` a multiple of the offset alignment (256 always does).
 */
export function rowSlices(rows: number, rowBytes: number, limits: Capabilities, step = 256): Rows[] {
  const most = Math.floor(limits.maxBinding / Math.max(1, rowBytes));
  if (rows <= most) return [{ first: 0, count: rows }];
  const count = Math.floor(most / step) * step;
  if (count === 0)
    throw new Error(
      `${step} rows of ${rowBytes} bytes exceed this adapter's largest binding of ${limits.maxBinding} bytes`,
    );
  const slices: Rows[] = [];
  for (let first = 0; first < rows; first += count) slices.push({ first, count: Math.min(count, rows - first) });
  return slices;
}

/** A grid of `groups` workgroups in up to two dimensions; shaders index by `id.x + id.y · num_workgroups.x · size`. */
export function grid(groups: number, limits: Capabilities): [number, number, number] {
  const x = Math.min(groups, limits.maxWorkgroups);
  return [x, Math.ceil(groups / x), 1];
}
