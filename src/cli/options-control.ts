// Options of pictures that guide a run: a picture to animate, ControlNets, T2I-Adapters and SparseCtrl encoders;
// IP-Adapters' stand in options-ip.ts.

import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { messageOf } from "../io/errors.js";
import { checkedNumbers, PREPROCESSORS, type Preprocessor, type PreprocessorName } from "../io/preprocess.js";
import { addIpOptions, checkShares, type IpArguments } from "./options-ip.js";

/** One `--control`. */
export interface ControlArgument {
  readonly model: string;
  /** Pictures, animations, videos or folders, taken one after another. */
  readonly paths: readonly string[];
  readonly preprocess: readonly Preprocessor[];
  /** SparseCtrl: frames of the clip that the pictures stand for. */
  readonly at?: readonly number[];
  readonly scale: number;
  readonly start: number;
  readonly end: number;
  /** As it was written. */
  readonly text: string;
}

/** As parsed. */
export interface ControlArguments extends IpArguments {
  readonly image?: string;
  readonly motionScale?: number;
  readonly colourMatch?: boolean;
  readonly control?: readonly ControlArgument[];
  readonly controlGuess?: boolean;
}

/** Declares them on a verb. */
export function addControlOptions(command: Command): Command {
  command
    .optionsGroup("Pictures that guide:")
    .option(
      "--image <file>",
      "animate this picture; takes motion modules with AnimateLCM-I2V's image encoder (--motion)",
    )
    .option("--motion-scale <s>", "how much --image moves, 0 stands still (default: 0.8)", finite)
    .option("--no-colour-match", "leave each frame's colours as they come, instead of moving them to those of --image")
    .option(
      "--control <model=frames[@how][:scale[:start-end]]>",
      `ControlNet or T2I-Adapter with pictures for it: a folder, a video, or one picture for all frames; @how makes them first: ${Object.keys(PREPROCESSORS).join(", ")}, with numbers after "=" (@canny=100,200). SparseCtrl: @0,15 names the frames that the pictures stand for. Acts from start to end of the steps (0 to 1). Repeatable`,
      collectControl,
    )
    .option(
      "--control-guess",
      "guess mode: under guidance only what the prompt asks for is controlled, gently in fine detail",
    );
  addIpOptions(command);
  command.setOptionValueWithSource("colourMatch", undefined, "default"); // not asked for is not the same as true
  return command;
}

function collectControl(text: string, before: readonly ControlArgument[] = []): readonly ControlArgument[] {
  const cut = text.indexOf("=");
  const model = text.slice(0, cut);
  const [, pictures, scale, start, end] =
    /^(.+?)(?::([+-]?(?:\d+\.?\d*|\.\d+))(?::(\d*\.?\d+)-(\d*\.?\d+))?)?$/.exec(text.slice(cut + 1)) ?? [];
  if (cut < 1 || pictures === undefined)
    throw new InvalidArgumentError(
      "Expected <model>=<frames>, like controlnet=edges.gif:0.8 or controlnet=clip.mp4@canny:1:0-0.5.",
    );
  let path = pictures;
  const preprocess: Preprocessor[] = [];
  let at: readonly number[] | undefined;
  for (;;) {
    const [, rest, step] = existsSync(path) ? [] : (/^(.+)@([^@/\\]*)$/.exec(path) ?? []);
    if (rest === undefined || step === undefined) break;
    path = rest;
    if (/^\d+(,\d+)*$/.test(step)) at = step.split(",").map(Number);
    else preprocess.unshift(preprocessor(step));
  }
  const span = { start: Number(start ?? 0), end: Number(end ?? 1) };
  checkShares(span);
  const argument = {
    model,
    paths: existsSync(path) ? [path] : path.split(","),
    preprocess,
    ...(at && { at }),
    scale: Number(scale ?? 1),
    ...span,
    text,
  };
  return [...before, argument];
}

function preprocessor(text: string): Preprocessor {
  const [name = "", numbers] = text.split("=");
  if (!(name in PREPROCESSORS))
    throw new InvalidArgumentError(
      `"@${text}" is no preprocessor and no list of frames; there are ${Object.keys(PREPROCESSORS).join(", ")}.`,
    );
  const found = {
    name: name as PreprocessorName,
    ...(numbers !== undefined && {
      numbers: numbers.split(",").map((n) => (n.trim() === "" ? Number.NaN : Number(n))),
    }),
  };
  try {
    checkedNumbers(found);
  } catch (error) {
    throw new InvalidArgumentError(`"@${text}": ${messageOf(error)}.`);
  }
  return found;
}

function finite(text: string): number {
  const n = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(n)) throw new InvalidArgumentError("Expected a number.");
  return n;
}
