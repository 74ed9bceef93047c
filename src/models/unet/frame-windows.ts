// Overlapping windows of frames, in plain numbers: inside motion modules (FreeNoise, Qiu et al. 2023), and around the whole
// network (context windows).

import type { FrameRun } from "../../../kernels/fuse-frames.js";

/** Frames that are evaluated together, with the share each result has in its frame's. */
export interface Window {
  /** Indexes into the clip, in the order in which the motion modules see them. */
  readonly frames: readonly number[];
  /** One a frame; over all windows of a clip a frame's weights add up to 1. */
  readonly weights: readonly number[];
}

/** Consecutive frames of a window that lie next to each other in the clip too. */
export interface Run {
  /** Place of the first in the window, its index in the clip, and how many they are. */
  readonly at: number;
  readonly frame: number;
  readonly count: number;
}

/** First frames of windows of `length` at 0, stride, 2·stride …; where the last would not end with the clip, one more does. */
export function windowStarts(frames: number, length: number, stride: number): number[] {
  const starts = Array.from({ length: Math.floor((frames - length) / stride) + 1 }, (_, i) => i * stride);
  if (starts.at(-1)! + length < frames) starts.push(frames - length);
  return starts;
}

/** Windows from these frames on, `length` long; frames beyond the clip's end are those of its beginning. */
export function windowsAt(starts: readonly number[], length: number, frames: number): Window[] {
  const weights = pyramid(length);
  const total = new Float64Array(frames);
  const indexes = starts.map((start) => Array.from({ length }, (_, i) => (start + i) % frames));
  for (const window of indexes) for (const [i, frame] of window.entries()) total[frame]! += weights[i]!;
  return indexes.map((window) => ({ frames: window, weights: window.map((frame, i) => weights[i]! / total[frame]!) }));
}

/** 1, 2, 3, …, 3, 2, 1: a window's middle knows most of what lies around it. */
function pyramid(length: number): number[] {
  return Array.from({ length }, (_, i) => Math.min(i, length - 1 - i) + 1);
}

/** A window cut into runs, as few as possible. */
export function runsOf(frames: readonly number[]): Run[] {
  const runs: { at: number; frame: number; count: number }[] = [];
  for (const [at, frame] of frames.entries()) {
    const last = runs.at(-1);
    if (last && last.frame + last.count === frame) last.count++;
    else runs.push({ at, frame, count: 1 });
  }
  return runs;
}

/** How a window goes into a clip of which the frames in `covered` hold sums already. */
export function fusionRuns({ frames, weights }: Window, covered: ReadonlySet<number>): FrameRun[] {
  const runs: { from: number; to: number; weights: number[]; add: boolean }[] = [];
  for (const [from, to] of frames.entries()) {
    const last = runs.at(-1);
    const add = covered.has(to);
    if (last && last.add === add && last.to + last.weights.length === to) last.weights.push(weights[from]!);
    else runs.push({ from, to, weights: [weights[from]!], add });
  }
  return runs;
}
