// GIF: one palette for the whole clip, unchanged pixels left transparent. Dithering is blue noise unless another is asked for:
// error diffusion gives the smoothest single frame, but everything behind a moving thing shimmers, and the file grows by half;
// Bayer's matrix shows its grid; without dithering skies fall into bands. Source: GIF89a. LZW and colours by gifenc.

import * as module from "gifenc";
import { BLUE_NOISE_SIZE, blueNoise } from "./blue-noise.js";
import type { AnimationOptions } from "./apng.js";
import { PictureError } from "./errors.js";
import { checkClip, frameOf, type Clip } from "./frames.js";

// Node sees gifenc's CommonJS build (all under `default`), bundlers its ES build.
const gifenc = "quantize" in module.default ? module.default : module;

/** How colours outside the palette are mixed. */
export type Dither = "blue-noise" | "bayer" | "floyd-steinberg" | "none";

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
  const indexer = new Indexer(palette);
  const gif = gifenc.GIFEncoder({ initialCapacity: width * height });
  let before: Uint8Array | undefined;
  for (let i = 0; i < count; i++) {
    options.signal?.throwIfAborted();
    const index = indexer.frame(clip, i, options.dither ?? "blue-noise");
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

/** Bayer's 8 × 8 matrix as thresholds in (−0.5, 0.5). */
function bayer(): Float32Array {
  return Float32Array.from({ length: 64 }, (_, i) => {
    const [x, y] = [i % 8, Math.floor(i / 8)];
    let v = 0;
    for (let bit = 0; bit < 3; bit++) v = (v << 2) | ((((x ^ y) >> bit) & 1) << 1) | ((y >> bit) & 1);
    return (v + 0.5) / 64 - 0.5;
  });
}

/** Maps pixels to palette entries. */
class Indexer {
  readonly #palette: readonly (readonly number[])[];
  /** Nearest entry by 6 bits a channel, found when first asked for; −1 where not yet. */
  readonly #nearest = new Int16Array(2 ** 18).fill(-1);
  /** How far dithering moves a colour: the typical distance between neighbouring palette entries. */
  readonly #spread: number;

  constructor(palette: readonly (readonly number[])[]) {
    this.#palette = palette;
    const gaps = palette.map((a, i) => {
      let least = Infinity;
      palette.forEach((b, j) => {
        if (i !== j) least = Math.min(least, Math.max(...a.map((v, c) => Math.abs(v - b[c]!))));
      });
      return least;
    });
    this.#spread = palette.length < 2 ? 0 : gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]!;
  }

  frame(clip: Clip, index: number, dither: Dither): Uint8Array {
    if (dither === "floyd-steinberg") return this.#diffused(clip, index);
    const { width, height } = clip;
    const { rgba } = frameOf(clip, index);
    const [map, side] = dither === "bayer" ? [bayer(), 8] : [blueNoise(), BLUE_NOISE_SIZE];
    const spread = dither === "none" ? 0 : this.#spread;
    const out = new Uint8Array(width * height);
    for (let y = 0, p = 0; y < height; y++)
      for (let x = 0; x < width; x++, p++) {
        const shift = spread * map[(y % side) * side + (x % side)]!;
        out[p] = this.#find(rgba[p * 4]! + shift, rgba[p * 4 + 1]! + shift, rgba[p * 4 + 2]! + shift);
      }
    return out;
  }

  /** Floyd and Steinberg's error diffusion: 7, 3, 5 and 1 sixteenths to the right, below left, below and below right. */
  #diffused(clip: Clip, index: number): Uint8Array {
    const { width, height } = clip;
    const { rgba } = frameOf(clip, index);
    const out = new Uint8Array(width * height);
    const errors = new Float32Array((width + 2) * (height + 1) * 3);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const p = y * width + x;
        const e = (y * (width + 2) + x + 1) * 3;
        const wanted = [0, 1, 2].map((c) => rgba[p * 4 + c]! + errors[e + c]!);
        const found = this.#find(wanted[0]!, wanted[1]!, wanted[2]!);
        out[p] = found;
        const below = e + (width + 2) * 3;
        for (let c = 0; c < 3; c++) {
          const off = wanted[c]! - this.#palette[found]![c]!;
          errors[e + 3 + c]! += (off * 7) / 16;
          errors[below - 3 + c]! += (off * 3) / 16;
          errors[below + c]! += (off * 5) / 16;
          errors[below + 3 + c]! += off / 16;
        }
      }
    return out;
  }

  #find(r: number, g: number, b: number): number {
    const clamp = (v: number) => (v < 0 ? 0 : v > 255 ? 63 : v >> 2);
    const key = (clamp(r) << 12) | (clamp(g) << 6) | clamp(b);
    const known = this.#nearest[key]!;
    if (known >= 0) return known;
    // The middle of the 4 × 4 × 4 colours that share the key; weights as the eye's, roughly.
    const [r0, g0, b0] = [(key >> 12) * 4 + 1.5, ((key >> 6) & 63) * 4 + 1.5, (key & 63) * 4 + 1.5];
    let best = 0;
    let least = Infinity;
    this.#palette.forEach((color, i) => {
      const d = 3 * (color[0]! - r0) ** 2 + 4 * (color[1]! - g0) ** 2 + 2 * (color[2]! - b0) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return (this.#nearest[key] = best);
  }
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
