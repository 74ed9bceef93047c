// What can be seen of a run without its model: calls that cannot work end before minutes of loading, as wrong calls, in the
// words of the options. What depends on the model is refused by the pipeline.

import { statSync } from "node:fs";
import { messageOf } from "../io/errors.js";
import type { VideoSource } from "../io/video.js";
import { boxOf } from "../pipelines/control/regions.js";
import { schedulerSteps, settle, type ModelLimits, type Settings } from "../pipelines/options.js";
import { lcmTimesteps } from "../schedulers/lcm.js";
import { UsageError } from "./failure.js";
import { generateOptions, type RunArguments } from "./options.js";
import { ipArguments } from "./options-ip.js";
import { plannedVideo, videoOptions } from "./options-video.js";
import { SIZE } from "./shapes/drawing.js";
import { hubNameOf, modelPaths } from "./sources.js";

/** A model that refuses nothing. */
const ANY: ModelLimits = { factor: 8, nativeSize: 512, maxFrames: undefined, motionNorm: "joint" };
/** Timesteps that Stable Diffusion was trained with. */
const TRAINED = 1000;

/**
 * `video`: what --init-video names, its headers read.
 * @throws UsageError for options that cannot work together, Error for a path at which there is nothing
 */
export function checkRun(a: RunArguments, video?: VideoSource): void {
  try {
    const settings = settle({ ...generateOptions("", a), ...videoOptions(video && plannedVideo(video, a), a) }, ANY);
    if (a.originalSteps !== undefined) lcmTimesteps(schedulerSteps(settings), a.originalSteps, TRAINED);
    checkPrompts(a);
    checkFrames(a, settings);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(inOptions(messageOf(error)), { cause: error });
  }
  checkPaths(a);
}

function checkPrompts(a: RunArguments): void {
  if (a.plainPrompt === true && a.emphasis !== undefined)
    throw new UsageError("--emphasis says how weights act, and has no effect with --plain-prompt, which reads none");
  const [width, height] = a.size ?? (a.model === undefined ? [SIZE, SIZE] : [undefined, undefined]);
  if (width === undefined) return; // the model's own size
  for (const { area, text } of a.region ?? [])
    if (typeof area !== "string") boxOf(area, { width, height }, `--region ${text}`);
}

/** Pictures of --control against the frames they stand for. */
function checkFrames({ control = [] }: RunArguments, { frames }: Settings): void {
  for (const { paths, at, text } of control) {
    if (paths.length > 1 && at === undefined)
      throw new UsageError(
        `--control ${text}: several files stand for chosen frames; name those, like @0,15, or give one folder or video`,
      );
    if (at === undefined) continue;
    if (paths.length > 1 && paths.length !== at.length)
      throw new UsageError(
        `--control ${text}: ${paths.length} files for ${at.length} frames; name a frame for each of them`,
      );
    const odd = at.find((frame, i) => frame >= frames || at.indexOf(frame) !== i);
    if (odd !== undefined)
      throw new UsageError(
        `--control ${text}: frame ${odd} cannot be given, expected different whole numbers from 0 to ${frames - 1}`,
      );
  }
}

/** Whether there is something, or may be on the hub, wherever the options point. */
function checkPaths(a: RunArguments): void {
  const { model, motion, loras, vae, tokenizer } = modelPaths(a);
  const prompts = ipArguments(a);
  const named: Readonly<Record<string, readonly (string | undefined)[]>> = {
    "--model": [model],
    "--motion": [motion],
    "--lora": loras.map((l) => l.path),
    "--vae": [vae],
    "--tokenizer": [tokenizer],
    "--embedding": (a.embedding ?? []).map((e) => e.path),
    "--control": (a.control ?? []).map((c) => c.model),
    "--ip-adapter": prompts.map((p) => p.adapter),
    "--ip-encoder": prompts.map((p) => p.encoder),
  };
  for (const [option, paths] of Object.entries(named))
    for (const path of paths) if (path !== undefined) checkPath(path, option);
}

const FOLDERS: readonly string[] = ["--tokenizer", "--ip-encoder"];
const FILES: readonly string[] = ["--lora", "--embedding", "--ip-adapter"];

function checkPath(path: string, option: string): void {
  if (hubNameOf(path, option)) return;
  const folder = statSync(path).isDirectory();
  if (folder ? FILES.includes(option) : FOLDERS.includes(option))
    throw new Error(`${option} ${path}: it is a ${folder ? "folder, expected a file" : "file, expected a folder"}`);
}

/** What the pipeline calls things, and what options are called. */
const WORDS: readonly (readonly [pattern: RegExp, option: (...groups: string[]) => string])[] = [
  [
    /\b(originalSteps|contextSchedule|freeInitFilter|freeInit|enforceSteps)\b/g,
    (name) => `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`,
  ],
  [/^(context|stride|strength) /, (name) => `--${name}`],
  [/^there is a prompt at frame/, (text) => `--prompt-at: ${text}`],
  [/\blong ("[\w-]+"(?: or "[\w-]+")*)/, (_, names = "") => `--long ${names.replaceAll('"', "")}`],
  [/\bleave out long\b/, () => "leave out --long"],
  [/\benforce the steps\b/, () => "add --enforce-steps"],
];

function inOptions(text: string): string {
  return WORDS.reduce((all, [pattern, option]) => all.replace(pattern, option), text);
}
