// Parts of a tensor's first dimension: frames of clips.

import { copyRows } from "../../kernels/copy.js";
import type { Device } from "../gpu/device.js";
import { sameShape, type Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { HostTensor } from "./residency.js";

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
export const PART = 16;

/** Whether a clip of so many frames is more than one part. */
export function hasParts(frames: number): boolean {
  return frames > PART;
}

/** Calls `body` with the parts of each clip: their first frame and how many they are. */
export function eachPart(n: number, frames: number, body: (start: number, count: number) => void): void {
  for (let clip = 0; clip < n; clip += frames)
    for (let at = 0; at < frames; at += PART) body(clip + at, Math.min(PART, frames - at));
}

/**
 * `[n, …]` for `n` frames, in clips of `frames` each, computed some frames of a clip at a time: what `body` needs meanwhile
 * does not grow with the clip. `body(start, count)` makes the entries of those frames. `place` is used up: where entries are
 * of its shape they take its place.
 */
export function inParts(
  device: Device,
  n: number,
  frames: number,
  body: (start: number, count: number) => Tensor,
  place?: Tensor,
): Tensor {
  const made = device.scope(() => {
    let whole: Tensor | undefined;
    eachPart(n, frames, (start, count) => {
      const part = device.scope(() => body(start, count));
      const shape = [n, ...part.shape.slice(1)];
      const fits = place && sameShape(shape, place.shape) && part.dtype === place.dtype;
      whole ??= fits ? place : Tensor.empty(device, shape, part.dtype, part.label);
      copyRows(part, 0, whole, start, count);
      part.dispose();
    });
    return whole!;
  });
  if (made !== place) place?.dispose();
  return made;
}

/** Frames of clips that wait on the host, in the parts in which they are wanted again. */
export class ParkedFrames {
  readonly shape: Shape;
  readonly #parts = new Map<number, HostTensor>();

  /** `x [clips·frames, …]` as it is when what is recorded so far has run; it stays the caller's. */
  constructor(x: Tensor, frames: number) {
    this.shape = x.shape;
    eachPart(x.shape[0]!, frames, (start, count) => {
      x.device.scope(() => this.#parts.set(start, HostTensor.park(rows(x, start, count))));
    });
  }

  /** Those frames, on the device. */
  part(device: Device, start: number, count: number): Tensor {
    const part = this.#parts.get(start);
    if (part?.shape[0] !== count) throw new Error(`frames ${start} to ${start + count} were not parked as one part`);
    return part.upload(device);
  }
}
