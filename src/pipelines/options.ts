// What a text-to-video run can be asked for, with defaults and checks. Every number that cannot work is refused here,
// before anything is computed.

import type { Emphasis } from "../../kernels/emphasis.js";
import type { Clip } from "../io/frames.js";
import type { SchedulerName, SchedulerOptions } from "../schedulers/index.js";
import { I2V_SCHEDULE } from "./control/image.js";
import type { ControlInputs } from "./control/conditions.js";
import { checkIterations } from "./course.js";
import { settleLong, type LongOptions, type LongSettings } from "./long.js";
import type { RunState } from "./run-state.js";

/** One run. Sizes are in pixels. */
export interface GenerateOptions extends LongOptions, ControlInputs {
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
  /** LCM's training grid; default 50, as diffusers, and 200 for AnimateLCM-I2V. */
  readonly originalSteps?: number;
  /** Override the noise schedule of the model's folder; beta schedule "linear" by default, as AnimateLCM was trained. */
  readonly betaEnd?: number;
  readonly betaSchedule?: "linear" | "scaled_linear" | "squaredcos_cap_v2";
  /** Takes prompts as diffusers does: no weights in brackets, what is too long cut off. Default false. */
  readonly plainPrompt?: boolean;
  /** How weights in prompts act; default "scale". */
  readonly emphasis?: Emphasis;
  /** Text encoder layers left out at the end; default 0. */
  readonly clipSkip?: number;
  /** What the motion modules' GroupNorm averages over; default: the motion file's kind. */
  readonly motionNorm?: "joint" | "frame";
  /**
   * Video to video: the run starts from these frames, brought to `width × height`, with noise; takes a pipeline loaded with
   * `encoder: true`. `frames` is their number.
   */
  readonly video?: Clip;
  /** With a video: how much of it is given up, above 0 to 1; the last int(steps · strength) steps run. Default 0.8. */
  readonly strength?: number;
  /** With a video: run as many steps as asked for, the last of int(steps / strength). Default false. */
  readonly enforceSteps?: boolean;
  /** A word of the prompt: step events tell where in the frames it acts (`attention`). Takes a clip evaluated as a whole. */
  readonly attentionTo?: string;
  /** Goes on with an interrupted run of the same model and options. */
  readonly resume?: RunState;
  /**
   * Decodes (and encodes) pictures larger than the VAE was trained on in overlapping tiles, as diffusers' enable_vae_tiling
   * does: memory no longer grows with the size, pictures change slightly. Default false.
   */
  readonly vaeTiling?: boolean;
  /** Cancels between batches of GPU work. */
  readonly signal?: AbortSignal;
}

/** What may stay undefined. */
type OptionalSetting = "betaEnd" | "originalSteps" | "strength";

/** Options with every default filled in. */
export interface Settings
  extends
    LongSettings,
    Required<
      Omit<
        GenerateOptions,
        keyof LongOptions | keyof ControlInputs | OptionalSetting | "signal" | "video" | "resume" | "attentionTo"
      >
    > {
  readonly betaEnd: number | undefined;
  readonly originalSteps: number | undefined;
  /** Defined in video to video. */
  readonly strength: number | undefined;
}

/** What the loaded model says about sizes. */
export interface ModelLimits {
  /** Pixels per latent. */
  readonly factor: number;
  readonly nativeSize: number;
  /** Positions of the motion module; undefined without one. */
  readonly maxFrames: number | undefined;
  readonly motionNorm: "joint" | "frame";
  /** The motion modules' file carries AnimateLCM-I2V's image encoder. */
  readonly imageEncoder?: boolean;
}

/** Fills in defaults. @throws Error for the first value that cannot work: what it is, what was expected, the cure */
export function settle(o: GenerateOptions, model: ModelLimits): Settings {
  const { factor, nativeSize, maxFrames, imageEncoder: i2v = false } = model;
  const frames = o.frames ?? o.video?.count ?? 16;
  wholeNumber(frames, "frames", 1, Number.MAX_SAFE_INTEGER);
  const s: Settings = {
    prompt: o.prompt,
    negative: o.negative ?? "",
    steps: o.steps ?? 4,
    guidance: o.guidance ?? 1,
    seed: o.seed ?? 0,
    frames,
    width: o.width ?? nativeSize,
    height: o.height ?? nativeSize,
    scheduler: o.scheduler ?? "lcm",
    originalSteps:
      o.originalSteps ?? (i2v && (o.scheduler ?? "lcm") === "lcm" ? I2V_SCHEDULE.originalSteps : undefined),
    betaEnd: o.betaEnd ?? (i2v ? I2V_SCHEDULE.betaEnd : undefined),
    betaSchedule: o.betaSchedule ?? "linear",
    plainPrompt: o.plainPrompt ?? false,
    emphasis: o.emphasis ?? "scale",
    clipSkip: o.clipSkip ?? 0,
    motionNorm: o.motionNorm ?? model.motionNorm,
    strength: o.video ? (o.strength ?? 0.8) : o.strength,
    enforceSteps: o.enforceSteps ?? false,
    vaeTiling: o.vaeTiling ?? false,
    ...settleLong(o, frames, maxFrames),
  };
  if (typeof s.prompt !== "string") throw new Error("the prompt must be a string");
  wholeNumber(s.steps, "steps", 1, 1000);
  if (!Number.isFinite(s.guidance) || s.guidance < 0)
    throw new Error(`guidance is ${s.guidance}, expected a number of 0 or more (1 is none)`);
  checkVideo(o, s);
  checkIterations(s);
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

function checkVideo({ video, enforceSteps }: GenerateOptions, { strength, steps, frames }: Settings): void {
  if (!video) {
    if (strength !== undefined || enforceSteps === true)
      throw new Error("strength and enforceSteps belong to video to video, and there is no video; leave them out");
    return;
  }
  if (strength === undefined || !(strength > 0 && strength <= 1))
    throw new Error(
      `strength is ${strength}, expected a number above 0 (which would change nothing) to 1 (which keeps almost nothing of the video)`,
    );
  if (video.count !== frames)
    throw new Error(
      `the video has ${video.count} frames, but ${frames} are asked for; bring it to that number first (sampleVideo)`,
    );
  if (enforceSteps !== true && Math.trunc(steps * strength) === 0)
    throw new Error(
      `strength ${strength} of ${steps} steps leaves no step to run; take at least ${Math.ceil(1 / strength)} steps, or enforce the steps`,
    );
}

/** How many steps the sampler is made for: those asked for, or where they are enforced as many as leave them. */
export function schedulerSteps({ steps, strength, enforceSteps }: Settings): number {
  return enforceSteps && strength !== undefined ? Math.trunc(steps / strength) : steps;
}

/** The scheduler's own options among the settings. */
export function schedulerOptions(s: Settings): SchedulerOptions {
  const all = schedulerSteps(s);
  // Half a step more than those enforced, so that rounding leaves exactly them.
  const strength = s.enforceSteps ? Math.min(1, (s.steps + 0.5) / all) : s.strength;
  return {
    ...(s.originalSteps !== undefined && { originalInferenceSteps: s.originalSteps }),
    ...(s.strength !== undefined && strength !== undefined && { strength }),
  };
}

function wholeNumber(value: number, name: string, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(
      `${name} is ${value}, expected a whole number${max === Number.MAX_SAFE_INTEGER ? ` of at least ${min}` : ` from ${min} to ${max}`}`,
    );
}
