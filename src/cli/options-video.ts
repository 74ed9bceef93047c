// Options of video to video: the clip a run starts from, read for `generate` and measured for `plan`.

import { type Command, InvalidArgumentError } from "commander";
import type { Clip } from "../io/frames.js";
import { DEFAULT_FRAMES, sampleVideo, type SampledVideo, type VideoSource } from "../io/video.js";
import type { GenerateOptions } from "../pipelines/options.js";
import { UsageError } from "./failure.js";
import { openChecked } from "./pictures.js";

/** Options of video to video, as parsed. */
export interface VideoArguments {
  readonly initVideo?: string;
  readonly strength?: number;
  readonly enforceSteps?: boolean;
}

/** Declares them on a verb. */
export function addVideoOptions(command: Command): void {
  command
    .optionsGroup("Video to video:")
    .option(
      "--init-video <dir|file>",
      "restyle this clip: a folder of frames, a picture, an animation, or a video (ffmpeg); cut to --size and --fps",
    )
    .option("--strength <s>", "how much of the clip is given up, above 0 to 1 (default: 0.8)", strength)
    .option("--enforce-steps", "run all --steps, not only the last int(steps × strength)");
}

/** The clip that a run starts from, its headers read. @throws UsageError for an option without it, PictureError where it cannot be read */
export async function openInitVideo(a: VideoArguments): Promise<VideoSource | undefined> {
  if (a.initVideo !== undefined) return openChecked(a.initVideo);
  for (const [option, given] of [
    ["--strength", a.strength],
    ["--enforce-steps", a.enforceSteps],
  ] as const)
    if (given !== undefined)
      throw new UsageError(`${option} belongs to video to video and has no effect without --init-video`);
  return undefined;
}

/** The clip at a run's size, rate and number of frames. */
export function readInitVideo(
  source: VideoSource,
  a: { readonly frames?: number; readonly fps: number },
  size: { readonly width: number; readonly height: number },
  signal: AbortSignal,
): Promise<SampledVideo> {
  return sampleVideo(source, {
    fps: a.fps,
    ...(a.frames !== undefined && { frames: a.frames }),
    width: size.width,
    height: size.height,
    signal,
  });
}

/** As many frames as `readInitVideo` would give, as far as headers tell, without pixels: enough for a plan. */
export function plannedVideo({ info }: VideoSource, a: { readonly frames?: number; readonly fps: number }): Clip {
  const there = info.seconds === undefined ? info.count : Math.max(1, Math.round(info.seconds * a.fps));
  const count = a.frames ?? Math.min(DEFAULT_FRAMES, there ?? DEFAULT_FRAMES);
  return { width: info.width, height: info.height, count, rgba: new Uint8Array() };
}

/** The pipeline's options for a clip. */
export function videoOptions(
  video: Clip | undefined,
  a: VideoArguments,
): Pick<GenerateOptions, "video" | "strength" | "enforceSteps"> {
  if (!video) return {};
  return {
    video,
    ...(a.strength !== undefined && { strength: a.strength }),
    ...(a.enforceSteps === true && { enforceSteps: true }),
  };
}

function strength(text: string): number {
  const n = text.trim() === "" ? Number.NaN : Number(text);
  if (!(n > 0 && n <= 1))
    throw new InvalidArgumentError(
      "Expected a number above 0 (nothing would change) to 1 (almost nothing of the clip is kept).",
    );
  return n;
}
