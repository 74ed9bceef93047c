// The options of a run, shared by `generate` and `plan`: declared, parsed and checked in one place. What stays undefined
// gets its default from the model or the pipeline.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { GenerateOptions } from "../pipelines/options.js";
import { isSchedulerName, SCHEDULER_NAMES, type SchedulerName } from "../schedulers/index.js";
import { addControlOptions, type ControlArguments } from "./options-control.js";
import { addMemoryOptions, type MemoryArguments } from "./options-memory.js";
import { addPromptOptions, promptOptions, type PromptArguments } from "./options-prompt.js";
import { addRegionOptions, type RegionArguments } from "./options-region.js";
import type { TuneArguments } from "./options-tune.js";
import { addVideoOptions, type VideoArguments } from "./options-video.js";
import { addLongOptions, addProgressOptions, longOptions, type LongArguments } from "./options-long.js";
import { integer, number, oneOf } from "./values.js";

/** A LoRA of the command line. */
export interface LoraArgument {
  readonly path: string;
  readonly weight: number;
}

/** Options of `generate` and `plan`, as parsed. */
export interface RunArguments
  extends
    ControlArguments,
    LongArguments,
    MemoryArguments,
    PromptArguments,
    RegionArguments,
    TuneArguments,
    VideoArguments {
  readonly model?: string;
  readonly motion?: string;
  readonly lora?: readonly LoraArgument[];
  /** False with --no-lora. */
  readonly bundledLora?: boolean;
  readonly vae?: string;
  readonly tokenizer?: string;
  readonly negative?: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed?: number | bigint;
  readonly frames?: number;
  readonly size?: readonly [number, number];
  readonly fps: number;
  readonly scheduler?: SchedulerName;
  readonly originalSteps?: number;
  readonly betaEnd?: number;
  readonly betaSchedule?: "linear" | "scaled_linear" | "squaredcos_cap_v2";
  readonly motionNorm?: "joint" | "frame";
  readonly precision?: "f32" | "f16";
  readonly output?: string;
  readonly latentsOut?: string;
  readonly device?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Declares the options of a run on a verb. */
export function addRunOptions(command: Command): Command {
  command
    .optionsGroup("Model:")
    .option(
      "--model <dir|file>",
      "diffusers folder, one checkpoint file, or hf:owner/name[@revision][/file], as for the options below (default: the bundled demo model)",
    )
    .option(
      "--motion <dir|file>",
      "motion modules: MotionAdapter folder or file, or an AnimateDiff or AnimateLCM file (default: the model's own)",
    )
    .option("--lora <file[:weight]>", "LoRA to merge, weight 1 unless given; repeatable", collectLora)
    .addOption(noLora())
    .option("--vae <dir|file>", "another VAE (default: the model's)")
    .option("--tokenizer <dir>", "another tokenizer (default: the model's, else Stable Diffusion's)")
    .option(
      "--motion-norm <joint|frame>",
      "over what the motion modules' GroupNorm normalises (default: joint for diffusers adapters, frame for original files)",
      oneOf("joint", "frame"),
    )
    .option(
      "--precision <f32|f16>",
      "storage of activations, and of weights unless --weights says otherwise (default: f16 where the adapter has it)",
      oneOf("f32", "f16"),
    )
    .optionsGroup("Picture:")
    .option("--negative <text>", 'what the clip should not show; takes guidance above 1 (default: "")')
    .option("--seed <n>", "seeds torch's CPU generator (default: 0)", seed)
    .option("--frames <n>", "frames of the clip (default: 16)", integer(1, 4096))
    .option("--size <w>x<h>", "in pixels, multiples of 8 (default: the model's native size)", size)
    .option("--fps <n>", "frames per second of the written file", number(0.1, 100), 8)
    .optionsGroup("Prompt:");
  addRegionOptions(addPromptOptions(command))
    .optionsGroup("Sampling:")
    .option("--steps <n>", "evaluations of the network (default: 4)", integer(1, 1000))
    .option("--guidance <g>", "classifier-free guidance; none at 1 or below (default: 1)", number(0, 1000))
    .option("--scheduler <name>", `${SCHEDULER_NAMES.join(", ")} (default: lcm)`, scheduler)
    .option("--original-steps <n>", "LCM's training grid (default: the model's, else 50)", integer(1, 1000))
    .option("--beta-end <x>", "end of the noise schedule (default: the model's)", number(1e-6, 1))
    .option(
      "--beta-schedule <name>",
      "linear, scaled_linear or squaredcos_cap_v2 (default: linear, as AnimateLCM was trained)",
      oneOf("linear", "scaled_linear", "squaredcos_cap_v2"),
    );
  addVideoOptions(command);
  addControlOptions(command);
  addLongOptions(command)
    .optionsGroup("Output:")
    .option(
      "-o, --output <path>",
      "by suffix: .png animated PNG, .gif, .webp (sharp), .mp4 and .webm (ffmpeg); a path ending in / becomes a folder of frames (default: kineograph-<seed>.png)",
    )
    .option("--latents-out <file>", "also write the last latents, as safetensors");
  addProgressOptions(command)
    .option("--device <n|name>", "adapter, as listed by `kineograph devices` (default: the fastest)")
    .option("--json", "print one JSON object on stdout")
    .option("-q, --quiet", "no progress")
    .option("-v, --verbose", "more detail, and stack traces with errors");
  addMemoryOptions(command);
  return command;
}

/** The pipeline's options of a run. */
export function generateOptions(prompt: string, a: RunArguments, signal?: AbortSignal): GenerateOptions {
  const { negative, steps, guidance, seed, frames, scheduler, originalSteps, betaEnd, betaSchedule, motionNorm } = a;
  const given = {
    negative,
    steps,
    guidance,
    seed,
    frames,
    width: a.size?.[0],
    height: a.size?.[1],
    scheduler,
    originalSteps,
    betaEnd,
    betaSchedule,
    motionNorm,
    vaeTiling: a.vaeTiling,
    ...promptOptions(a),
    ...longOptions(a),
    signal,
  };
  return {
    prompt,
    ...(Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined)) as Partial<GenerateOptions>),
  };
}

/** `--no-lora` beside `--lora`: commander would let one undo the other. */
function noLora(): Option {
  const option = new Option("--no-lora", "leave out the LoRA that the bundled model applies by itself");
  option.attributeName = () => "bundledLora";
  return option;
}

export function collectLora(text: string, before: readonly LoraArgument[] = []): readonly LoraArgument[] {
  const [, path, weight] = /^(.+?)(?::([+-]?(?:\d+\.?\d*|\.\d+)))?$/.exec(text) ?? [];
  if (path === undefined) throw new InvalidArgumentError("Expected a file, or file:weight.");
  return [...before, { path, weight: weight === undefined ? 1 : Number(weight) }];
}

export function size(text: string): readonly [number, number] {
  const [, w, h] = /^(\d+)[x×](\d+)$/.exec(text) ?? [];
  if (w === undefined || h === undefined) throw new InvalidArgumentError("Expected <width>x<height>, like 512x512.");
  const sides = [Number(w), Number(h)] as const;
  const near = sides.map((n) => Math.min(8192, Math.max(8, Math.round(n / 8) * 8)));
  if (sides.some((n, i) => n !== near[i]))
    throw new InvalidArgumentError(`Sizes are multiples of 8, at most 8192; the nearest is ${near.join("x")}.`);
  return sides;
}

export function seed(text: string): number | bigint {
  if (!/^\d+$/.test(text) || BigInt(text) >= 2n ** 64n)
    throw new InvalidArgumentError("Expected a whole number from 0 to 18446744073709551615.");
  const n = BigInt(text);
  return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
}

function scheduler(text: string): SchedulerName {
  if (!isSchedulerName(text)) throw new InvalidArgumentError(`Expected one of ${SCHEDULER_NAMES.join(", ")}.`);
  return text;
}
