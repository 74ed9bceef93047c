// What a text-to-video run can be asked for, with defaults and checks. Every number that cannot work is refused here,
// before anything is computed.

import type { SchedulerName, SchedulerOptions } from "../schedulers/index.js";

/** One run. Sizes are in pixels. */
export interface GenerateOptions {
  readonly prompt: string;
  /** Used only where guidance > 1. */
  readonly negative?: string;
  /** Network evaluations; default 4. */
  readonly steps?: number;
  /** Classifier-free guidance; at 1 or below there is no unconditional pass. Default 1. */
  readonly guidance?: number;
  /** torch's CPU generator is seeded with it. Default 0. */
  readonly seed?: number | bigint;
  /** Default 16. */
  readonly frames?: number;
  /** Default: the model's native size. */
  readonly width?: number;
  readonly height?: number;
  /** Default "lcm". */
  readonly scheduler?: SchedulerName;
  /** LCM's training grid; default 50, as diffusers. */
  readonly originalSteps?: number;
  /** Override the noise schedule of the model's folder; beta schedule "linear" by default, as AnimateLCM was trained. */
  readonly betaEnd?: number;
  readonly betaSchedule?: "linear" | "scaled_linear" | "squaredcos_cap_v2";
  /** Text encoder layers left out at the end; default 0. */
  readonly clipSkip?: number;
  /** What the motion modules' GroupNorm averages over; default: the motion file's kind. */
  readonly motionNorm?: "joint" | "frame";
  /** Cancels between batches of GPU work. */
  readonly signal?: AbortSignal;
}

/** Options with every default filled in. */
export interface Settings extends Required<Omit<GenerateOptions, "signal" | "betaEnd" | "originalSteps">> {
  readonly betaEnd: number | undefined;
  readonly originalSteps: number | undefined;
}

/** What the loaded model says about sizes. */
export interface ModelLimits {
  /** Pixels per latent. */
  readonly factor: number;
  readonly nativeSize: number;
  /** Positions of the motion module; undefined without one. */
  readonly maxFrames: number | undefined;
  readonly motionNorm: "joint" | "frame";
}

/** Fills in defaults. @throws Error for the first value that cannot work: what it is, what was expected, the cure */
export function settle(o: GenerateOptions, model: ModelLimits): Settings {
  const { factor, nativeSize, maxFrames } = model;
  const s: Settings = {
    prompt: o.prompt,
    negative: o.negative ?? "",
    steps: o.steps ?? 4,
    guidance: o.guidance ?? 1,
    seed: o.seed ?? 0,
    frames: o.frames ?? 16,
    width: o.width ?? nativeSize,
    height: o.height ?? nativeSize,
    scheduler: o.scheduler ?? "lcm",
    originalSteps: o.originalSteps,
    betaEnd: o.betaEnd,
    betaSchedule: o.betaSchedule ?? "linear",
    clipSkip: o.clipSkip ?? 0,
    motionNorm: o.motionNorm ?? model.motionNorm,
  };
  if (typeof s.prompt !== "string") throw new Error("the prompt must be a string");
  wholeNumber(s.steps, "steps", 1, 1000);
  wholeNumber(s.frames, "frames", 1, Number.MAX_SAFE_INTEGER);
  if (!Number.isFinite(s.guidance) || s.guidance < 0)
    throw new Error(`guidance is ${s.guidance}, expected a number of 0 or more (1 is none)`);
  if (maxFrames !== undefined && s.frames > maxFrames)
    throw new Error(
      `${s.frames} frames are more than the ${maxFrames} positions that the motion module knows; ask for at most ${maxFrames}`,
    );
  const multiple = Math.max(8, factor);
  for (const side of ["width", "height"] as const) {
    wholeNumber(s[side], side, multiple, 8192);
    if (s[side] % multiple !== 0) {
      const near = Math.max(multiple, Math.round(s[side] / multiple) * multiple);
      throw new Error(`${side} is ${s[side]}, expected a multiple of ${multiple}; the nearest is ${near}`);
    }
  }
  if (typeof s.seed === "number" && (!Number.isSafeInteger(s.seed) || s.seed < 0))
    throw new Error(`seed is ${s.seed}, expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
  if (s.originalSteps !== undefined && s.scheduler !== "lcm")
    throw new Error(
      `originalSteps is LCM's training grid and has no effect on the scheduler "${s.scheduler}"; leave it out`,
    );
  return s;
}

/** The scheduler's own options among the settings. */
export function schedulerOptions(s: Settings): SchedulerOptions {
  return s.originalSteps === undefined ? {} : { originalInferenceSteps: s.originalSteps };
}

function wholeNumber(value: number, name: string, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(
      `${name} is ${value}, expected a whole number${max === Number.MAX_SAFE_INTEGER ? ` of at least ${min}` : ` from ${min} to ${max}`}`,
    );
}
