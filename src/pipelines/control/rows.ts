// Copies of entries of a tensor's first dimension: how frames get to where a recorded evaluation reads them.

import { copyRows } from "../../../kernels/copy.js";
import { Tensor } from "../../tensor/tensor.js";

/** Entries `rows` of x's first dimension as a tensor of their own. */
export function takeRows(x: Tensor, rows: readonly number[], label = x.label): Tensor {
  const [, ...rest] = x.shape;
  const y = Tensor.empty(x.device, [rows.length, ...rest], x.dtype, label);
  for (let at = 0; at < rows.length;) {
    let count = 1;
    while (rows[at + count] === rows[at]! + count) count++;
    copyRows(x, rows[at]!, y, at, count);
    at += count;
  }
  return y;
}

/** 0 … n − 1, from `start` on. */
export function range(n: number, start = 0): number[] {
  return Array.from({ length: n }, (_, i) => start + i);
}
