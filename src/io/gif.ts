// GIF: one palette for the whole clip, dithered (dither.ts), unchanged pixels left transparent.
// Source: GIF89a specification. LZW and the choice of colours by gifenc.

import * as module from "gifenc";
import type { AnimationOptions } from "./apng.js";
import { PictureError } from "./errors.js";
import { checkClip, frameOf, type Clip } from "./frames.js";
import { Dithering, type Dither } from "./dither.js";

// Node sees gifenc's CommonJS build (all under `default`), bundlers its ES build.
const gifenc = "quantize" in module.default ? module.default : module;

export type { Dither } from "./dither.js";

export interface GifOptions extends AnimationOptions {
  /** Default: blue noise. */
  readonly dither?: Dither;
}

/** Colours of the palette; one more entry is the transparent one. */
const COLORS = 255;
/** Pixels of a clip that the palette is made from. */
const SAMPLED = 2 ** 18;

/** A clip as an animated GIF that loops forever; texts become comments `keyword text`, in UTF-8. */
export function encodeGif(clip: Clip, options: GifOptions): Uint8Array {
  checkClip(clip);
  const { width, height, count } = clip;
  if (width > 65535 || height > 65535)
    throw new RangeError(`GIF: ${width}x${height} is more than its 65535 pixels a side`);
  if (!(options.fps > 0)) throw new RangeError(`frames per second: ${options.fps} is not above 0`);
  const palette = gifenc.quantize(sample(clip), COLORS);
  const dithering = new Dithering(palette, options.dither ?? "blue-noise");
  const gif = gifenc.GIFEncoder({ initialCapacity: width * height });
  let before: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    options.signal?.throwIfAborted();
    const index = dithering.apply(frameOf(clip, i));
    // Hundredths of a second; rounding the end of each frame keeps the clip's length right for any rate.
    const delay = 10 * (Math.round(((i + 1) * 100) / options.fps) - Math.round((i * 100) / options.fps));
    const shown = before ? changes(before, index) : index;
    gif.writeFrame(shown, width, height, {
      ...(i === 0 && { palette: [...palette, ...Array.from({ length: 256 - palette.length }, () => [0, 0, 0])] }),
      delay,
      repeat: 0,
      dispose: 1,
      transparent: shown !== index,
      transparentIndex: TRANSPARENT,
    });
    before = index;
  }
  for (const [keyword, text] of Object.entries(options.texts ?? {})) {
    const bytes = new TextEncoder().encode(`${keyword} ${text}`);
    gif.stream.writeBytes([0x21, 0xfe]);
    for (let at = 0; at < bytes.length; at += 255) {
      const block = bytes.subarray(at, at + 255);
      gif.stream.writeByte(block.length);
      gif.stream.writeBytes(block);
    }
    gif.stream.writeByte(0);
  }
  gif.finish();
  return gif.bytes();
}

const TRANSPARENT = 255;

/** The frame with unchanged pixels made transparent, where most are unchanged; otherwise the frame itself. */
function changes(before: Uint8Array, now: Uint8Array): Uint8Array {
  let same = 0;
  const out = now.slice();
  for (let p = 0; p < now.length; p++)
    if (now[p] === before[p]) {
      out[p] = TRANSPARENT;
      same++;
    }
  return same * 2 > now.length ? out : now;
}

/** Evenly spaced pixels of all frames. */
function sample(clip: Clip): Uint8Array {
  const pixels = clip.rgba.length / 4;
  const step = Math.max(1, Math.ceil(pixels / SAMPLED));
  // An even step would meet the same columns in every row.
  const stride = step % 2 === 0 ? step + 1 : step;
  const out = new Uint8Array(Math.ceil(pixels / stride) * 4);
  for (let p = 0, at = 0; p < pixels; p += stride, at += 4) {
    out.set(clip.rgba.subarray(p * 4, p * 4 + 3), at);
    out[at + 3] = 255;
  }
  return out;
}

/** The comments of a GIF file. @throws PictureError when it is none or is cut off. */
export function gifComments(bytes: Uint8Array): string[] {
  if (!isGif(bytes)) throw new PictureError("this is no GIF file");
  const comments: string[] = [];
  const cut = () => new PictureError("this GIF file is cut off");
  const table = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  if (bytes.length < 13) throw cut();
  let at = 13 + table(bytes[10]!);
  /** The sub-blocks from `at` on, joined where they are wanted. */
  const blocks = (wanted: boolean): Uint8Array => {
    const parts: number[] = [];
    for (;;) {
      const length = bytes[at++];
      if (length === undefined) throw cut();
      if (length === 0) return new Uint8Array(parts);
      if (wanted) parts.push(...bytes.subarray(at, at + length));
      at += length;
    }
  };
  for (;;) {
    const kind = bytes[at++];
    if (kind === 0x3b) return comments;
    if (kind === 0x21) {
      const comment = bytes[at++] === 0xfe;
      const data = blocks(comment);
      if (comment) comments.push(new TextDecoder().decode(data));
    } else if (kind === 0x2c) {
      at += 9 + table(bytes[at + 8] ?? 0) + 1;
      blocks(false);
    } else if (kind === undefined) throw cut();
    else throw new PictureError("this GIF file is damaged");
  }
}

export function isGif(bytes: Uint8Array): boolean {
  return /^GIF8[79]a/.test(String.fromCharCode(...bytes.subarray(0, 6)));
}
