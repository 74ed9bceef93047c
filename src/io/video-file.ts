// Reading pictures, animations and videos from a path (Node only): a folder of frames, PNG and APNG by our own reader, GIF,
// WebP, JPEG, TIFF and AVIF by sharp, every other file by ffmpeg. What a file is tell its first bytes, never its name.

import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PictureError } from "./errors.js";
import { ffmpegSource } from "./ffmpeg.js";
import { isPng } from "./png.js";
import { readPng } from "./png-reader.js";
import { sharpFormat, sharpSource } from "./sharp-pictures.js";
import { sampleVideo, type SampledVideo, type SampleOptions, type VideoSource } from "./video.js";

/** Pictures that count as frames of a folder. */
const FRAME = /\.(png|jpe?g|webp|gif|tiff?|avif|bmp)$/i;

/**
 * Opens a picture, an animation, a video file or a folder of frames (by name, numbers by their value). Only headers are
 * read.
 * @throws PictureError where there is nothing, it is no picture or video, or a program or package that reads it is missing
 */
export async function openVideo(path: string): Promise<VideoSource> {
  const info = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (info.isDirectory()) return openFrames(path);
  const start = await firstBytes(path);
  if (start.length === 0) throw new PictureError(`${path} is empty`);
  if (isPng(start)) return pngSource(path);
  const format = sharpFormat(start);
  return format ? sharpSource(path, format) : ffmpegSource(path);
}

/** `openVideo` and `sampleVideo` in one. */
export async function readVideo(path: string, options: SampleOptions): Promise<SampledVideo> {
  return sampleVideo(await openVideo(path), options);
}

function unreadable(path: string, error: unknown): PictureError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const why =
    code === "ENOENT"
      ? "there is no such file or folder"
      : code === "EACCES"
        ? "no permission to read it"
        : messageOf(error);
  return new PictureError(`${path}: ${why}`, { cause: error });
}

async function firstBytes(path: string): Promise<Uint8Array> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(32), 0, 32, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

async function pngSource(path: string): Promise<VideoSource> {
  const file = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const named = <R>(body: () => R): R => {
    try {
      return body();
    } catch (error) {
      throw new PictureError(`${path}: ${messageOf(error)}`, { cause: error });
    }
  };
  const png = named(() => readPng(file));
  const { width, height, count, seconds } = png;
  const total = seconds.reduce((sum, s) => sum + s, 0);
  return {
    info: { name: path, format: "PNG", width, height, count, ...(count > 1 && { seconds: total }) },
    async *pictures() {
      const frames = png.pictures();
      for (let i = 0; ; i++) {
        const { value, done } = named(() => frames.next());
        if (done === true) return;
        yield { picture: value, seconds: count > 1 ? seconds[i] : undefined };
      }
    },
  };
}

async function openFrames(folder: string): Promise<VideoSource> {
  const order = new Intl.Collator("en", { numeric: true });
  const names = (
    await readdir(folder).catch((error: unknown) => {
      throw unreadable(folder, error);
    })
  )
    .filter((name) => FRAME.test(name) && !name.startsWith("."))
    .toSorted(order.compare);
  const first = names[0];
  if (first === undefined)
    throw new PictureError(
      `${folder} has no frames: no file in it ends in .png, .jpg, .webp, .gif, .tif, .avif or .bmp`,
    );
  const { width, height } = (await openVideo(join(folder, first))).info;
  return {
    info: { name: folder, format: "frames", width, height, count: names.length },
    async *pictures({ count }) {
      for (const name of names.slice(0, count)) {
        const path = join(folder, name);
        const frame = await openVideo(path);
        const { info } = frame;
        if (info.width !== width || info.height !== height)
          throw new PictureError(
            `${path} has ${info.width}x${info.height} pixels, but ${first} has ${width}x${height}; the frames of a folder have one size`,
          );
        for await (const { picture } of frame.pictures({ count: 1, seconds: 1 })) {
          yield { picture, seconds: undefined };
          break;
        }
      }
    },
  };
}
