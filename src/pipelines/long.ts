// How clips beyond the motion modules' training length are made, and what else changes along a run: FreeNoise, context
// windows, FreeInit, prompt travel. Their options, with defaults and checks.

import { windowsAt, windowStarts, type Window } from "../models/unet/frame-windows.js";
import type { Storage } from "../nn/weights.js";
import type { FreeInitFilter } from "./free-init.js";
import { loopedWindows, staticWindows, wholeClip, type WindowSchedule } from "./windows.js";

/** Options of a run that concern its length and its course. */
export interface LongOptions {
  /**
   * "none": all frames attend to each other. "free-noise": the motion modules attend in overlapping windows, and the noise
   * repeats itself, shuffled (diffusers' FreeNoise). "window": the network is evaluated on overlapping windows whose
   * predictions are fused; memory does not grow with the clip. Default "none".
   */
  readonly long?: "none" | "free-noise" | "window";
  /** Frames of a window; default 16. */
  readonly context?: number;
  /** Frames from one window to the next; default 4. */
  readonly stride?: number;
  /** For "window": "static" from the first frame to the last, "looped" around the clip's end. Default "static". */
  readonly contextSchedule?: "static" | "looped";
  /** Runs as often as this, each from noise that keeps the low frequencies of the last clip (FreeInit); default 0: once. */
  readonly freeInit?: number;
  /** FreeInit's low-pass filter; default "butterworth". */
  readonly freeInitFilter?: FreeInitFilter;
  /** Prompts at later frames; between them the text is interpolated, and after the last it stays. */
  readonly promptAt?: Readonly<Record<number, string>>;
}

export type LongSettings = Required<LongOptions>;

/** Fills in defaults. @throws Error for the first value that cannot work: what it is, what was expected, the cure */
export function settleLong(o: LongOptions, frames: number, maxFrames: number | undefined): LongSettings {
  const s: LongSettings = {
    long: o.long ?? "none",
    context: o.context ?? 16,
    stride: o.stride ?? 4,
    contextSchedule: o.contextSchedule ?? "static",
    freeInit: o.freeInit ?? 0,
    freeInitFilter: o.freeInitFilter ?? "butterworth",
    promptAt: o.promptAt ?? {},
  };
  if (s.long === "none") {
    for (const name of ["context", "stride", "contextSchedule"] as const)
      if (o[name] !== undefined)
        throw new Error(
          `${name} has no effect without windows of frames; choose them with long "free-noise" or "window"`,
        );
    if (maxFrames !== undefined && frames > maxFrames)
      throw new Error(
        `${frames} frames are more than the ${maxFrames} positions that the motion module knows; ask for at most ${maxFrames}, or make a longer clip with --long window or --long free-noise`,
      );
  } else checkWindows(s, o, frames, maxFrames);
  if (!Number.isInteger(s.freeInit) || s.freeInit < 0 || s.freeInit > 100)
    throw new Error(`freeInit is ${s.freeInit}, expected a whole number of runs from 0 to 100`);
  if (o.freeInitFilter !== undefined && s.freeInit < 2)
    throw new Error(`freeInitFilter has no effect with fewer than 2 FreeInit runs; set freeInit to 2 or more`);
  for (const key of Object.keys(s.promptAt)) {
    const frame = Number(key);
    if (!Number.isInteger(frame) || frame < 1 || frame >= frames)
      throw new Error(
        `there is a prompt at frame ${key}, expected a frame from 1 to ${frames - 1}: the clip has ${frames}, and the prompt itself stands at frame 0`,
      );
  }
  return s;
}

function checkWindows(s: LongSettings, o: LongOptions, frames: number, maxFrames: number | undefined): void {
  const { long, context, stride } = s;
  if (o.contextSchedule !== undefined && long !== "window")
    throw new Error(
      `contextSchedule has no effect on FreeNoise, which has its own windows; leave it out, or use long "window"`,
    );
  if (!Number.isInteger(context) || context < 1)
    throw new Error(`context is ${context}, expected a whole number of frames of at least 1`);
  if (context > frames)
    throw new Error(
      `context is ${context}, more than the clip's ${frames} frames; ask for more frames, or leave out long to take them all at once`,
    );
  if (maxFrames !== undefined && context > maxFrames)
    throw new Error(
      `context is ${context}, more than the ${maxFrames} positions that the motion module knows; choose at most ${maxFrames}`,
    );
  if (!Number.isInteger(stride) || stride < 1 || stride > context)
    throw new Error(
      `stride is ${stride}, expected a whole number from 1 to the context, ${context}: a larger one would leave frames out`,
    );
}

/** On which frames the network is evaluated. */
export function windowSchedule(s: LongSettings & { readonly frames: number }): WindowSchedule {
  if (s.long !== "window") return wholeClip(s.frames);
  return (s.contextSchedule === "looped" ? loopedWindows : staticWindows)(s.frames, s.context, s.stride);
}

/**
 * FreeNoise's windows inside the motion modules; undefined where all frames attend to each other. A last window that does
 * not fit the stride is blended like the others; diffusers adds only its last n frames and divides them by one weight
 * for all (a missing colon), which darkens the clip's end.
 */
export function attentionWindows(s: LongSettings & { readonly frames: number }): readonly Window[] | undefined {
  if (s.long !== "free-noise") return undefined;
  return windowsAt(windowStarts(s.frames, s.context, s.stride), s.context, s.frames);
}

/**
 * Longest FreeNoise clip that stays on the device as a whole. At 512 × 512 in f16 a frame's skips take 13 MB, 0.8 GiB for so
 * many frames (1.23 times 16 frames' peak in all) and 3.2 GiB for 256. Parked, they cross the bus out and back once an
 * evaluation, 31 MB a frame for 1.4 TFLOP of work, and what grows is the one map of each frame that layers hand on, 2.6 MB.
 */
const LONGEST_AT_HAND = 64;

/** Whether the UNet's skips wait on the host: in longer clips, whose skips would take more than all else, and where weights do. */
export function parksSkips(
  { long, frames }: Pick<LongSettings, "long"> & { readonly frames: number },
  { streamed = false }: Storage,
): boolean {
  return long === "free-noise" && (streamed || frames > LONGEST_AT_HAND);
}
