// Options of clips longer than the motion modules' reach, of prompts along a clip, and of runs that take long.

import { InvalidArgumentError, type Command } from "commander";
import type { LongOptions } from "../pipelines/long.js";
import { integer, oneOf } from "./values.js";

/** A prompt further on in a clip. */
export interface PromptAt {
  readonly frame: number;
  readonly prompt: string;
}

/** These options, as parsed. */
export interface LongArguments {
  readonly long?: "none" | "free-noise" | "window";
  readonly context?: number;
  readonly stride?: number;
  readonly contextSchedule?: "static" | "looped";
  readonly freeInit?: number;
  readonly freeInitFilter?: "butterworth" | "gaussian";
  readonly promptAt?: readonly PromptAt[];
  readonly resume?: string;
  readonly preview?: string;
}

/** Declares them on a verb. */
export function addLongOptions(command: Command): Command {
  return command
    .optionsGroup("Longer clips:")
    .option(
      "--long <how>",
      "none: all frames at once; free-noise: the motion modules see windows of frames, and memory hardly grows; window: the whole network does, and it does not grow (default: none)",
      oneOf("none", "free-noise", "window"),
    )
    .option("--context <n>", "frames of a window (default: 16)", integer(1, 4096))
    .option("--stride <n>", "frames from one window to the next (default: 4)", integer(1, 4096))
    .option(
      "--context-schedule <static|looped>",
      "windows from the first frame to the last, or around the end for a clip that loops without a seam (default: static)",
      oneOf("static", "looped"),
    )
    .option("--prompt-at <frame:text>", "prompt at a later frame, blended in between; repeatable", collectPrompt)
    .option(
      "--free-init <n>",
      "runs, each from noise that keeps the last one's low frequencies (default: 0)",
      integer(0, 100),
    )
    .option(
      "--free-init-filter <butterworth|gaussian>",
      "what keeps them (default: butterworth)",
      oneOf("butterworth", "gaussian"),
    );
}

/** Options of the work itself, beside the output's. */
export function addProgressOptions(command: Command): Command {
  return command
    .option("--preview <file>", "after each step, write a small picture of the clip so far (.png, .gif, …)")
    .option(
      "--resume <file>",
      "keep the run's state in this file, and go on from it where it exists (an interrupted run says which)",
    );
}

/** The pipeline's options among them. */
export function longOptions(a: LongArguments): LongOptions {
  const { long, context, stride, contextSchedule, freeInit, freeInitFilter, promptAt } = a;
  const given = { long, context, stride, contextSchedule, freeInit, freeInitFilter };
  return {
    ...(Object.fromEntries(Object.entries(given).filter(([, v]) => v !== undefined)) as LongOptions),
    ...(promptAt && { promptAt: Object.fromEntries(promptAt.map(({ frame, prompt }) => [frame, prompt])) }),
  };
}

/** What makes a clip's length and course again, for its recipe. */
export function longRecipe(a: LongArguments): Readonly<Record<string, string | number | readonly string[]>> {
  const { promptAt, ...rest } = longOptions(a);
  const stops = Object.entries(promptAt ?? {}).map(([frame, prompt]) => `${frame}:${prompt}`);
  return { ...rest, ...(stops.length > 0 && { promptAt: stops }) };
}

function collectPrompt(text: string, before: readonly PromptAt[] = []): readonly PromptAt[] {
  const [, frame, prompt] = /^(\d+):(.*)$/s.exec(text) ?? [];
  if (frame === undefined || prompt === undefined)
    throw new InvalidArgumentError('Expected <frame>:<text>, like 16:"a blue star".');
  if (before.some((p) => p.frame === Number(frame)))
    throw new InvalidArgumentError(`There is a prompt at frame ${frame} already.`);
  return [...before, { frame: Number(frame), prompt }];
}
