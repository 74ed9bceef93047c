// Pictures and animations that sharp (libvips) reads and writes: GIF, WebP, JPEG, TIFF, AVIF. Node only; sharp is an optional
// peer dependency, looked for when it is needed.

import type Sharp from "sharp";
import type { AnimationOptions } from "./apng.js";
import { messageOf, PictureError } from "./errors.js";
import { checkClip, shownFor, type Clip, type Picture } from "./frames.js";
import { xmpPacket } from "./webp.js";
import { MAX_FRAME_PIXELS, type TimedPicture, type VideoSource } from "./video.js";

/** Bytes of decoded frames held at once. */
const BATCH_BYTES = 2 ** 27;

/** sharp, or one sentence on how to get it. @throws PictureError */
export async function loadSharp(what: string): Promise<typeof Sharp> {
  try {
    return (await import("sharp")).default;
  } catch (error) {
    throw new PictureError(
      `${what} takes the package sharp, which is not installed here: npm install sharp (${messageOf(error).split("\n")[0]!})`,
      { cause: error },
    );
  }
}

/** What sharp is used for, by the first bytes of a file; undefined where it is for others. */
export function sharpFormat(start: Uint8Array): "GIF" | "JPEG" | "WebP" | "TIFF" | "AVIF" | undefined {
  const text = String.fromCharCode(...start.subarray(0, 16));
  if (/^GIF8[79]a/.test(text)) return "GIF";
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (/^RIFF....WEBP/s.test(text)) return "WebP";
  if (text.startsWith("II*\0") || text.startsWith("MM\0*")) return "TIFF";
  if (/^....ftyp(avif|mif1)/s.test(text)) return "AVIF";
  return undefined;
}

/**
 * A picture or animation in a file. Turned as its EXIF orientation says, in sRGB by its colour profile, 8 bits; an
 * animation's frames are composed and keep their times.
 * @throws PictureError where it cannot be read
 */
export async function sharpSource(path: string, format: string): Promise<VideoSource> {
  const sharp = await loadSharp(`reading ${path} (${format})`);
  const explain = (error: unknown) =>
    new PictureError(`${path} cannot be read as ${format}: ${messageOf(error)}`, { cause: error });
  const meta = await sharp(path, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw explain(error);
    });
  const count = meta.pages ?? 1;
  const delays = meta.delay;
  const [width, height] =
    count > 1 ? [meta.width, meta.pageHeight ?? meta.height] : [meta.autoOrient.width, meta.autoOrient.height];
  const timed = count > 1 && delays !== undefined;
  const seconds = Array.from({ length: count }, (_, i) => shownFor((delays?.[i] ?? 0) / 1000));
  /** Some frames, one below the other. */
  const decode = async (page: number, pages: number): Promise<Uint8Array> => {
    const options = { limitInputPixels: false, ...(count > 1 && { page, pages }) };
    const image = sharp(path, options);
    if (count === 1) image.autoOrient();
    const { data, info } = await image
      .toColourspace("srgb")
      .ensureAlpha()
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true })
      .catch((error: unknown) => {
        throw explain(error);
      });
    if (info.channels !== 4 || info.width !== width || info.height !== height * pages)
      throw explain(`its frames have different sizes`);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  };
  return {
    info: {
      name: path,
      format,
      width,
      height,
      count,
      ...(timed && { seconds: seconds.reduce((sum, s) => sum + s, 0) }),
    },
    async *pictures(wanted): AsyncGenerator<TimedPicture> {
      const frameBytes = width * height * 4;
      if (width * height > MAX_FRAME_PIXELS) throw explain(`frames of ${width}x${height} pixels are too large`);
      const batch = Math.max(1, Math.floor(BATCH_BYTES / frameBytes));
      const last = timed ? count : Math.min(count, wanted.count);
      for (let start = 0, shown = 0; start < last && shown < wanted.seconds; start += batch) {
        const pages = Math.min(batch, last - start);
        const rgba = await decode(start, pages);
        for (let i = 0; i < pages; i++) {
          const picture: Picture = { width, height, rgba: rgba.subarray(i * frameBytes, (i + 1) * frameBytes) };
          const time = timed ? seconds[start + i]! : undefined;
          shown += time ?? 0;
          yield { picture, seconds: time };
        }
      }
    },
  };
}

/** A clip as an animated WebP that loops forever, nearly lossless; texts go into its XMP. @throws PictureError */
export async function encodeWebp(clip: Clip, options: AnimationOptions): Promise<Uint8Array> {
  checkClip(clip);
  const { width, height, count, rgba } = clip;
  if (width > 16383 || height > 16383)
    throw new PictureError(`WebP: ${width}x${height} is more than its 16383 pixels a side`);
  const sharp = await loadSharp("writing WebP");
  options.signal?.throwIfAborted();
  // Milliseconds; rounding the end of each frame keeps the clip's length right for any rate.
  const end = (i: number) => Math.round((i * 1000) / options.fps);
  const delay = Array.from({ length: count }, (_, i) => end(i + 1) - end(i));
  const raw = { width, height: height * count, channels: 4, ...(count > 1 && { pageHeight: height }) } as const;
  let image = sharp(rgba, { raw, limitInputPixels: false }).webp({ quality: 92, smartSubsample: true, loop: 0, delay });
  if (options.texts && Object.keys(options.texts).length > 0) image = image.withXmp(xmpPacket(options.texts));
  try {
    return await image.toBuffer();
  } catch (error) {
    throw new PictureError(`WebP cannot be written: ${messageOf(error)}`, { cause: error });
  }
}
