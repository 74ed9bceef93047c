// Options of regional prompts: a rectangle or a mask, and what its part of the picture shows.

import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { sampleVideo } from "../io/video.js";
import { openVideo } from "../io/video-file.js";
import { boxOf, type Rectangle, type RegionInputs } from "../pipelines/control/regions.js";
import { UsageError } from "./failure.js";
import { number } from "./values.js";

/** One `--region`. */
export interface RegionArgument {
  /** A rectangle, or the path of a mask. */
  readonly area: Rectangle | string;
  readonly prompt: string;
  /** As it was written. */
  readonly text: string;
}

/** These options, as parsed. */
export interface RegionArguments {
  readonly region?: readonly RegionArgument[];
  readonly regionBase?: number;
}

/** Declares them on a verb. */
export function addRegionOptions(command: Command): Command {
  return command
    .option(
      "--region <x,y,w,h:prompt>",
      'a prompt for a part of the picture: fractions, like 0,0,0.5,1:"a red star" for the left half, or whole pixels; or a mask in place of the rectangle, a picture (or one a frame: a folder, a video) that is white there. Repeatable',
      collectRegion,
    )
    .option("--region-base <b>", "what the prompt itself keeps inside regions, 0 to 1 (default: 0)", number(0, 1));
}

function collectRegion(text: string, before: readonly RegionArgument[] = []): readonly RegionArgument[] {
  return [...before, { ...parseRegion(text), text }];
}

const NUMBER = String.raw`\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*`;
const RECTANGLE = new RegExp(`^(${NUMBER}(?:,${NUMBER})*):(.*)$`, "s");

function parseRegion(text: string): Omit<RegionArgument, "text"> {
  const [, numbers, rest] = RECTANGLE.exec(text) ?? [];
  if (numbers !== undefined && rest !== undefined) {
    const area = numbers.split(",").map(Number) as unknown as Rectangle;
    try {
      boxOf(area, undefined, "It");
    } catch (error) {
      throw new InvalidArgumentError(`${(error as Error).message}.`);
    }
    return { area, prompt: prompted(rest) };
  }
  // A path may have colons in it: the longest beginning that is there.
  for (let at = text.lastIndexOf(":"); at > 0; at = text.lastIndexOf(":", at - 1))
    if (existsSync(text.slice(0, at))) return { area: text.slice(0, at), prompt: prompted(text.slice(at + 1)) };
  throw new InvalidArgumentError(
    'Expected <x>,<y>,<width>,<height>:<prompt>, like 0,0,0.5,1:"a red star", or a mask that is there, like mask.png:"a red star".',
  );
}

function prompted(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("It has no prompt: say what this part of the picture shows.");
  return text;
}

/** Reads the headers of every mask. @throws UsageError for options without effect, PictureError where one cannot be read */
export async function checkRegions(a: RegionArguments): Promise<void> {
  if (a.regionBase !== undefined && !a.region) throw new UsageError("--region-base has no effect without --region");
  for (const { area } of a.region ?? []) if (typeof area === "string") await openVideo(area);
}

/** The pipeline's options, masks at the run's size. */
export async function regionInputs(
  a: RegionArguments & { readonly fps: number },
  { width, height, frames }: { readonly width: number; readonly height: number; readonly frames: number },
  signal?: AbortSignal,
): Promise<RegionInputs> {
  if (!a.region) return {};
  const regions: NonNullable<RegionInputs["regions"]>[number][] = [];
  for (const { area, prompt } of a.region) {
    if (typeof area !== "string") {
      regions.push({ area, prompt });
      continue;
    }
    const source = await openVideo(area);
    const count = source.info.count === 1 ? 1 : frames;
    const { rgba } = await sampleVideo(source, { fps: a.fps, frames: count, width, height, ...(signal && { signal }) });
    regions.push({ area: { width, height, count, rgba }, prompt });
  }
  return { regions, ...(a.regionBase !== undefined && { regionBase: a.regionBase }) };
}
