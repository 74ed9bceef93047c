// Parts of a tensor's first dimension: frames of clips.

import { copyRows } from "../../kernels/copy.js";
import { Tensor } from "../tensor/tensor.js";

/** `count` entries of x's first dimension from `start` on: a view where the adapter can bind it, else a copy. */
export function rows(x: Tensor, start: number, count: number): Tensor {
  const [n = 0, ...rest] = x.shape;
  if (count === n) return x;
  if (((x.bytes / n) * start) % x.device.capabilities.alignment === 0) return x.slice(start, count);
  const y = Tensor.empty(x.device, [count, ...rest], x.dtype, x.label);
  copyRows(x, start, y, 0, count);
  return y;
}

/** Frames that are computed at once where a clip is taken in parts. */
const PART = 16;

/**
 * `[n, …]` for `n` frames, in clips of `frames` each, computed some frames of a clip at a time: what `body` needs
 * meanwhile does not grow with the clip. `body(start, count)` makes the entries of those frames.
 */
export function inParts(
  { device }: Tensor,
  n: number,
  frames: number,
  body: (start: number, count: number) => Tensor,
): Tensor {
  return device.scope(() => {
    let whole: Tensor | undefined;
    for (let clip = 0; clip < n; clip += frames)
      for (let at = 0; at < frames; at += PART) {
        const count = Math.min(PART, frames - at);
        const part = device.scope(() => body(clip + at, count));
        whole ??= Tensor.empty(device, [n, ...part.shape.slice(1)], part.dtype, part.label);
        copyRows(part, 0, whole, clip + at, count);
        part.dispose();
      }
    return whole!;
  });
}

/** Whether a clip of so many frames is more than one part. */
export function hasParts(frames: number): boolean {
  return frames > PART;
}
