// A clip to start from, wherever it lies: frames with the times at which they show, brought to the number, the rate and the
// size that a run wants. Knows no file format and no Node: src/io/video-file.ts opens paths, a page brings its own frames.

import { PictureError } from "./errors.js";
import { frameOf, type Clip, type Picture } from "./frames.js";
import { coverCrop } from "./resample.js";

/** What a video's header tells. */
export interface VideoInfo {
  /** What error messages call it. */
  readonly name: string;
  /** "PNG", "GIF", "h264", … */
  readonly format: string;
  readonly width: number;
  readonly height: number;
  /** Frames, where the header tells. */
  readonly count?: number;
  /** How long it is; absent where frames have no times (a folder, a picture). */
  readonly seconds?: number;
}

/** A frame of a video. */
export interface TimedPicture {
  readonly picture: Picture;
  /** How long it shows; undefined where frames have no times. */
  readonly seconds: number | undefined;
}

/** A video that was opened: its header is known, its pictures are not decoded yet. */
export interface VideoSource {
  readonly info: VideoInfo;
  /**
   * The frames in turn, 8-bit RGBA, decoded as they are asked for; no more than `count` frames or `seconds` are wanted.
   * @throws PictureError where the file is damaged
   */
  pictures(wanted: { readonly count: number; readonly seconds: number }): AsyncIterable<TimedPicture>;
}

/** The frames that a run wants. */
export interface SampleOptions {
  /** Exactly so many frames; default: as many as there are, at most 16. */
  readonly frames?: number;
  /** The rate at which the run's frames show. */
  readonly fps: number;
  /** Size in pixels, both or none: frames are scaled to cover it (Lanczos) and cut around their middle. Default: as they are. */
  readonly width?: number;
  readonly height?: number;
  readonly signal?: AbortSignal;
}

/** Frames as a run takes them: opaque, of one size, at an even rate. */
export interface SampledVideo extends Clip {
  readonly rgba: Uint8Array<ArrayBuffer>;
  readonly fps: number;
  /** Frames that the video gave at this rate before they were spread; at most `count`. */
  readonly available: number;
  /** What was done that the user may not expect. */
  readonly notes: readonly string[];
}

/** Frames taken where nobody says how many. */
export const DEFAULT_FRAMES = 16;
/** Pixels of one frame that are decoded: 8,192 × 8,192. */
export const MAX_FRAME_PIXELS = 2 ** 26;
/** Pixels of a clip that are kept, all frames together: 1 GiB of RGBA. */
const MAX_PIXELS = 2 ** 28;

/**
 * Takes a video's frames to the number, rate and size wanted. A frame of the result is the one that shows in its middle, so
 * frame rates may vary and differ; frames without times are taken one for one. Where the video is too short for the frames
 * asked for, those it has are spread evenly over them, and a note says so. Transparency is laid on black.
 * @throws PictureError where there is no frame, where it is damaged, or, before anything is decoded, where it is too large
 */
export async function sampleVideo(source: VideoSource, options: SampleOptions): Promise<SampledVideo> {
  const { fps, signal } = options;
  const { info } = source;
  const wanted = options.frames ?? DEFAULT_FRAMES;
  if (!(fps > 0)) throw new RangeError(`frames per second: ${fps} is not above 0`);
  if (!Number.isInteger(wanted) || wanted < 1)
    throw new RangeError(`frames is ${wanted}, expected a whole number of at least 1`);
  if ((options.width === undefined) !== (options.height === undefined))
    throw new RangeError("a video is sampled to a width and a height together");
  const [width, height] = [options.width ?? info.width, options.height ?? info.height];
  checkSize(info, wanted, width, height);

  let first: Picture | undefined;
  const kept: Picture[] = [];
  let clock = 0; // in frames of the result
  for await (const { picture, seconds } of source.pictures({ count: wanted, seconds: wanted / fps })) {
    signal?.throwIfAborted();
    let fitted: Picture | undefined;
    const get = () => (fitted ??= fit(picture, width, height, info));
    first ??= get();
    clock += seconds === undefined ? 1 : seconds * fps;
    while (kept.length < wanted && kept.length + 0.5 < clock + 1e-6) kept.push(get());
    if (kept.length === wanted) break;
  }
  if (!first) throw new PictureError(`${info.name} has no frames`);
  if (kept.length === 0) kept.push(first); // shorter than half a frame
  const count = options.frames ?? kept.length;
  const rgba = new Uint8Array(count * width * height * 4);
  for (let i = 0; i < count; i++)
    rgba.set(kept[Math.floor(((i + 0.5) * kept.length) / count)]!.rgba, i * width * height * 4);
  return {
    width,
    height,
    count,
    rgba,
    fps,
    available: kept.length,
    notes: notesOf(info, kept.length, wanted, options),
  };
}

function notesOf({ name, seconds }: VideoInfo, available: number, wanted: number, o: SampleOptions): string[] {
  if (available === wanted) return [];
  const has = `${name} has ${available === 1 ? "one frame" : `${available} frames`}${seconds === undefined ? "" : ` at ${o.fps} frames a second`}`;
  if (o.frames === undefined) return [`${has}: the clip gets as many`];
  return [
    `${has}, ${o.frames} are asked for: ${available === 1 ? "it is repeated" : "they are spread evenly over them"}`,
  ];
}

/** By the header alone. @throws PictureError where its frames have more pixels than are decoded */
export function checkFrames(info: VideoInfo): void {
  if (info.width * info.height > MAX_FRAME_PIXELS)
    throw new PictureError(
      `${info.name} has frames of ${info.width}x${info.height} pixels, more than the ${MAX_FRAME_PIXELS} that are read; make it smaller first`,
    );
}

/** @throws PictureError where so many pixels are not read. */
function checkSize(info: VideoInfo, frames: number, width: number, height: number): void {
  checkFrames(info);
  if (frames * width * height > MAX_PIXELS)
    throw new PictureError(
      `${info.name}: ${frames} frames of ${width}x${height} pixels are ${((frames * width * height * 4) / 2 ** 30).toFixed(1)} GiB, more than the 1 GiB that is read; ask for fewer frames or a smaller size`,
    );
}

/** One frame at the size wanted, on black. */
function fit(picture: Picture, width: number, height: number, { name }: VideoInfo): Picture {
  if (picture.rgba.length !== picture.width * picture.height * 4)
    throw new PictureError(`${name}: a frame of ${picture.width}x${picture.height} has ${picture.rgba.length} bytes`);
  const { rgba } = coverCrop(opaque(picture), width, height, "lanczos");
  return { width, height, rgba };
}

/** The picture laid on black; itself where it is opaque. */
function opaque(picture: Picture): Picture {
  const { rgba } = picture;
  let at = 3;
  while (at < rgba.length && rgba[at] === 255) at += 4;
  if (at >= rgba.length) return picture;
  const out = rgba.slice();
  for (let i = at - 3; i < out.length; i += 4) {
    const alpha = out[i + 3]!;
    if (alpha === 255) continue;
    for (let c = 0; c < 3; c++) out[i + c] = Math.round((out[i + c]! * alpha) / 255);
    out[i + 3] = 255;
  }
  return { ...picture, rgba: out };
}

/**
 * Frames in memory as a video: a page's, another run's, a library's. `fps` gives them times; without it they are taken one
 * for one.
 */
export function clipSource(clip: Clip, { name = "the video", fps }: { name?: string; fps?: number } = {}): VideoSource {
  const { width, height, count } = clip;
  return {
    info: { name, format: "frames", width, height, count, ...(fps !== undefined && { seconds: count / fps }) },
    async *pictures() {
      for (let i = 0; i < count; i++)
        yield { picture: frameOf(clip, i), seconds: fps === undefined ? undefined : 1 / fps };
    },
  };
}
