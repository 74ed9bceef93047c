// Options of `compare`, and what they mean: which samplers with which weights, steps and guidance.

import { resolve } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { isSchedulerName, SCHEDULER_NAMES, type SchedulerName } from "../schedulers/index.js";
import { messageOf } from "../io/errors.js";
import { UsageError } from "./failure.js";
import { collectLora, seed, size, type LoraArgument, type RunArguments } from "./options.js";
import { readPromptFile } from "./prompt-file.js";
import { DISTILLED } from "./sources.js";
import { integer, number, oneOf } from "./values.js";

/** Options of `compare`, as parsed. */
export interface CompareArguments extends Pick<
  RunArguments,
  | "model"
  | "motion"
  | "lora"
  | "vae"
  | "tokenizer"
  | "precision"
  | "negative"
  | "seed"
  | "frames"
  | "size"
  | "fps"
  | "output"
  | "device"
  | "json"
  | "quiet"
  | "verbose"
> {
  readonly prompts?: string;
  readonly limit?: number;
  readonly schedulers: readonly SchedulerName[];
  readonly steps: readonly number[];
  readonly guidance?: number;
  readonly lcmGuidance?: number;
  readonly lcmMotion?: string;
  readonly lcmLora?: readonly LoraArgument[];
  readonly sheet?: string;
  readonly show: number;
  readonly cell?: number;
}

/** Declares them. */
export function addCompareOptions(command: Command): Command {
  return command
    .argument("[prompt]", "what the clips show")
    .option("--prompts <file>", 'a prompt a line, or {"prompt": "…", "seed": 1} a line, instead')
    .option("--limit <n>", "take the first lines of --prompts only", integer(1, 1e6))
    .optionsGroup("What is compared:")
    .addOption(
      new Option("--schedulers <list>", `of ${SCHEDULER_NAMES.join(", ")}`)
        .argParser(schedulers)
        .default(["ddim", "dpm", "dpm++", "lcm"], "ddim,dpm,dpm++,lcm"),
    )
    .addOption(new Option("--steps <list>", "numbers of steps, for each of them").argParser(steps).default([4], "4"))
    .option(
      "--guidance <g>",
      "of samplers that are not distilled (default: 3 for the bundled model, else 7.5)",
      number(0, 1000),
    )
    .option("--lcm-guidance <g>", "of lcm and tcd (default: 1)", number(0, 1000))
    .optionsGroup("Model:")
    .option("--model <dir|file>", "as for generate (default: the bundled demo model, with its weights for either kind)")
    .option("--motion <dir|file>", "motion modules of samplers that are not distilled")
    .option("--lcm-motion <dir|file>", "motion modules of lcm and tcd (default: --motion)")
    .option("--lora <file[:weight]>", "LoRA for all; repeatable", collectLora)
    .option("--lcm-lora <file[:weight]>", "LoRA for lcm and tcd only; repeatable", collectLora)
    .option("--vae <dir|file>", "another VAE")
    .option("--tokenizer <dir>", "another tokenizer")
    .option("--precision <f32|f16>", "(default: f16 where the adapter has it)", oneOf("f32", "f16"))
    .optionsGroup("Picture:")
    .option("--negative <text>", "negative prompt, where guidance is above 1")
    .option("--seed <n>", "of the first prompt, one more for each further one (default: 0)", seed)
    .option("--frames <n>", "frames of a clip (default: 16)", integer(1, 4096))
    .option("--size <w>x<h>", "in pixels (default: the model's native size)", size)
    .option("--fps <n>", "frames per second of the animation", number(0.1, 100), 8)
    .optionsGroup("Output:")
    .option("-o, --output <path>", "all clips side by side: .png, .gif, .webp, .mp4 or .webm", "kineograph-compare.png")
    .option("--sheet <path>", "contact sheet, .png (default: as --output, with -sheet.png)")
    .option("--show <n>", "prompts on the pictures; the table counts all", integer(1, 100), 4)
    .option(
      "--cell <pixels>",
      "longest side of a clip on the pictures (default: 256, on the sheet 128)",
      integer(16, 4096),
    )
    .option("--device <n|name>", "adapter, as listed by `kineograph devices` (default: the fastest)")
    .option("--json", "print one JSON object on stdout")
    .option("-q, --quiet", "no progress")
    .option("-v, --verbose", "each clip that the checker finds wrong, and stack traces with errors");
}

/** A clip to make, before its sampler is chosen. */
export interface Subject {
  readonly prompt: string;
  readonly seed: number | bigint;
}

/** What the clips show. @throws UsageError */
export async function subjectsOf(prompt: string | undefined, a: CompareArguments): Promise<readonly Subject[]> {
  const first = BigInt(a.seed ?? 0);
  const numbered = (i: number) => narrow(first + BigInt(i));
  if ((prompt === undefined) === (a.prompts === undefined))
    throw new UsageError("compare takes a prompt, or --prompts <file>; one of them");
  if (prompt !== undefined && a.limit !== undefined)
    throw new UsageError("--limit takes the first lines of --prompts, and has no effect without it");
  if (prompt !== undefined) return [{ prompt, seed: numbered(0) }];
  const lines = (await readPromptFile(a.prompts!)).slice(0, a.limit);
  return lines.map(({ line, prompt: text, options: { seed: own, ...rest } }, i) => {
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined)
      throw new UsageError(
        `--prompts ${a.prompts!}, line ${line}: compare takes "prompt" and "seed", not "${unknown}"`,
      );
    if (own !== undefined && typeof own !== "number" && typeof own !== "string")
      throw new UsageError(`--prompts ${a.prompts!}, line ${line}: its seed is no number`);
    try {
      return { prompt: text, seed: own === undefined ? numbered(i) : seed(String(own)) };
    } catch (error) {
      throw new UsageError(`--prompts ${a.prompts!}, line ${line}, seed: ${messageOf(error)}`, { cause: error });
    }
  });
}

function narrow(n: bigint): number | bigint {
  return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
}

/** One way to make every clip. */
export interface Configuration {
  readonly scheduler: SchedulerName;
  readonly steps: number;
  readonly guidance: number;
  /** Whether it runs on the distilled weights. */
  readonly distilled: boolean;
  readonly run: RunArguments;
}

/** Every sampler with every number of steps, on its right weights. @throws UsageError for an option that none of them takes */
export function configurationsOf(a: CompareArguments): readonly Configuration[] {
  checkUsed(a);
  const all = a.schedulers.flatMap((scheduler) =>
    a.steps.map((n) => {
      const distilled = DISTILLED.includes(scheduler);
      const guidance = distilled ? (a.lcmGuidance ?? 1) : (a.guidance ?? (a.model === undefined ? 3 : 7.5));
      const motion = distilled ? (a.lcmMotion ?? a.motion) : a.motion;
      const lora = [...(distilled ? (a.lcmLora ?? []) : []), ...(a.lora ?? [])];
      const kept = ["model", "vae", "tokenizer", "precision", "frames", "size", "device"] as const;
      const shared = Object.fromEntries(kept.filter((k) => a[k] !== undefined).map((k) => [k, a[k]]));
      const run: RunArguments = {
        ...(shared as Partial<RunArguments>),
        ...(motion !== undefined && { motion }),
        ...(lora.length > 0 && { lora }),
        ...(a.negative !== undefined && guidance > 1 && { negative: a.negative }),
        fps: a.fps,
        scheduler,
        steps: n,
        guidance,
      };
      return { scheduler, steps: n, guidance, distilled, run };
    }),
  );
  if (a.negative !== undefined && !all.some(({ guidance }) => guidance > 1))
    throw new UsageError(
      "--negative acts where guidance is above 1, and it is so for none of the samplers; raise --guidance (of lcm and tcd: --lcm-guidance)",
    );
  return all;
}

/** @throws UsageError for an option of one kind of samplers where none of them is compared */
function checkUsed({ model, schedulers, guidance, motion, lcmGuidance, lcmMotion, lcmLora }: CompareArguments): void {
  if (model === undefined && (lcmMotion !== undefined || lcmLora !== undefined))
    throw new UsageError("--lcm-motion and --lcm-lora go with --model; the bundled model has its own");
  const distilled = schedulers.filter((s) => DISTILLED.includes(s));
  const list = schedulers.join(",");
  const ofLcm = { "--lcm-guidance": lcmGuidance, "--lcm-motion": lcmMotion, "--lcm-lora": lcmLora };
  for (const [option, value] of Object.entries(ofLcm))
    if (value !== undefined && distilled.length === 0)
      throw new UsageError(`${option} is for lcm and tcd, and has no effect with --schedulers ${list}`);
  if (distilled.length < schedulers.length) return;
  if (guidance !== undefined)
    throw new UsageError(
      `--guidance is for samplers that are not distilled, and has no effect with --schedulers ${list}; theirs is --lcm-guidance`,
    );
  if (motion !== undefined && lcmMotion !== undefined)
    throw new UsageError(`--motion has no effect with --schedulers ${list}, which take --lcm-motion; leave one out`);
}

/** Where the contact sheet goes. @throws UsageError where that is no PNG, or the animation's place */
export function sheetOf({ sheet, output = "" }: CompareArguments): string {
  if (sheet === undefined) return `${output.replace(/([/\\]|\.\w+)$/, "")}-sheet.png`;
  if (!/\.png$/i.test(sheet))
    throw new UsageError(`--sheet ${sheet}: the contact sheet is a PNG; end its name in .png`);
  if (resolve(sheet) === resolve(output))
    throw new UsageError(`--sheet ${sheet} is where --output goes; choose another name for one of them`);
  return sheet;
}

function schedulers(text: string): readonly SchedulerName[] {
  const names = text.split(",").map((s) => s.trim());
  const good = names.filter(isSchedulerName);
  if (good.length !== names.length || new Set(good).size !== good.length)
    throw new InvalidArgumentError(`Expected names of ${SCHEDULER_NAMES.join(", ")}, separated by commas, each once.`);
  return good;
}

function steps(text: string): readonly number[] {
  const numbers = text.split(",").map((s) => (/^\s*\d+\s*$/.test(s) ? Number(s) : Number.NaN));
  if (!numbers.every((n) => n >= 1 && n <= 1000) || new Set(numbers).size !== numbers.length)
    throw new InvalidArgumentError("Expected whole numbers from 1 to 1000, separated by commas, each once.");
  return numbers;
}
