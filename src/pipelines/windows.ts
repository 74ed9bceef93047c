// Which frames of a clip the network sees at once. A clip within the motion modules' reach is one window; longer ones are
// covered by overlapping windows whose predictions are fused.

import type { FrameRun } from "../../kernels/fuse-frames.js";

/** Frames that are evaluated together, with the share each prediction has in its frame's. */
export interface Window {
  /** Indexes into the clip, in the order in which the motion modules see them; all windows of a run are equally long. */
  readonly frames: readonly number[];
  /** One a frame; over all windows of an evaluation a frame's weights add up to 1. */
  readonly weights: readonly number[];
}

/** The windows of evaluation `index`, counted over the whole run. */
export type WindowSchedule = (index: number) => readonly Window[];

/** All frames at once. */
export function wholeClip(frames: number): WindowSchedule {
  const window = {
    frames: Array.from({ length: frames }, (_, i) => i),
    weights: Array.from({ length: frames }, () => 1),
  };
  return () => [window];
}

/** Whether a window is the whole clip in order: its prediction is the clip's. */
export function isWhole({ frames }: Window, count: number): boolean {
  return frames.length === count && frames.every((f, i) => f === i);
}

/** Consecutive frames of a window that lie next to each other in the clip too. */
export interface Run {
  /** Place of the first in the window, its index in the clip, and how many follow it. */
  readonly at: number;
  readonly frame: number;
  readonly count: number;
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
