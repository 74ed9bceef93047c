// Which frames of a clip the network is evaluated on together, step by step. A clip within the motion modules' reach is one
// window; a longer one is covered by overlapping windows whose predictions are fused.

import { windowsAt, windowStarts, type Window } from "../models/unet/frame-windows.js";

export type { Window };

/** The windows of step `index`; all windows of a run are equally long. */
export type WindowSchedule = (index: number) => readonly Window[];

/** All frames at once. */
export function wholeClip(frames: number): WindowSchedule {
  const window = {
    frames: Array.from({ length: frames }, (_, i) => i),
    weights: Array.from({ length: frames }, () => 1),
  };
  return () => [window];
}

/** The same windows at every step, from the first frame to the last ("standard static"). */
export function staticWindows(frames: number, context: number, stride: number): WindowSchedule {
  const windows = windowsAt(windowStarts(frames, context, stride), context, frames);
  return () => windows;
}

/**
 * Windows spread evenly over the clip taken as a ring, at most `stride` apart, so that its end runs into its beginning
 * ("uniform looped"). From step to step they are shifted by the fractions 0, 1/2, 1/4, 3/4, 1/8 … of their distance: no
 * border between windows stays in one place.
 */
export function loopedWindows(frames: number, context: number, stride: number): WindowSchedule {
  const count = Math.ceil(frames / stride);
  return (index) => {
    const shift = reversedBits(index);
    const starts = Array.from({ length: count }, (_, i) => Math.round(((i + shift) * frames) / count) % frames);
    return windowsAt(starts, context, frames);
  };
}

/** Whether a window is the whole clip in order: its prediction is the clip's. */
export function isWhole({ frames }: Window, count: number): boolean {
  return frames.length === count && frames.every((f, i) => f === i);
}

/** The binary digits of n behind the point, mirrored (van der Corput's sequence): 0, 1/2, 1/4, 3/4, 1/8 … */
function reversedBits(n: number): number {
  let fraction = 0;
  for (let unit = 1 / 2, rest = n; rest > 0; unit /= 2, rest = Math.floor(rest / 2)) fraction += (rest % 2) * unit;
  return fraction;
}
