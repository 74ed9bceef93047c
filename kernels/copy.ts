// Copies between tensors: no shader, but in order with the dispatches around them.

import type { Tensor } from "../src/tensor/tensor.js";

/** Copies a range of bytes. Places and size are multiples of 4. */
export function copy(from: Tensor, fromByte: number, to: Tensor, toByte: number, bytes: number): void {
  const [a, b] = [from.binding(), to.binding()];
  from.device.copy(
    { ...a, offset: a.offset + fromByte, size: bytes },
    { ...b, offset: b.offset + toByte, size: bytes },
  );
}

/** Copies `count` entries of x's first dimension, from entry `fromRow` on, to those of y from `toRow` on. */
export function copyRows(x: Tensor, fromRow: number, y: Tensor, toRow: number, count: number): void {
  const bytes = x.bytes / (x.shape[0] ?? 1);
  if (y.bytes !== bytes * (y.shape[0] ?? 1) || fromRow + count > (x.shape[0] ?? 0) || toRow + count > (y.shape[0] ?? 0))
    throw new Error(
      `copyRows: ${count} rows from ${fromRow} of ${String(x)} do not fit rows ${toRow} on of ${String(y)}`,
    );
  copy(x, fromRow * bytes, y, toRow * bytes, count * bytes);
}
