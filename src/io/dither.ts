// Pictures to palette entries. By default with ordered dithering over blue noise: for each colour a few entries are found whose
// average is that colour (each makes up for the error of those before it), sorted by lightness, and the threshold map says
// which of them a pixel takes (T. Knoll, US patent 6,606,166, expired 2019). Adapts to the palette in all three dimensions,
// and what stands still stays still. Error diffusion gives the smoothest single frame, but all that lies behind a moving
// thing shimmers and files grow by half; Bayer's matrix shows its grid; without dithering skies fall into bands.

import { BLUE_NOISE_SIZE, blueNoise } from "./blue-noise.js";
import type { Picture } from "./frames.js";

/** How colours outside the palette are mixed. */
export type Dither = "blue-noise" | "bayer" | "floyd-steinberg" | "none";

type Palette = readonly (readonly number[])[];

/** Entries that a colour is mixed of. */
const MIXED = 16;
/** How much of the error so far each next entry makes up for: less is smoother and less exact. */
const STRENGTH = 0.75;
/** Bits a channel by which mixtures are kept. */
const BITS = 6;

/** Bayer's 8 × 8 matrix as thresholds in (−0.5, 0.5). */
function bayer(): Float32Array {
  return Float32Array.from({ length: 64 }, (_, i) => {
    const [x, y] = [i % 8, Math.floor(i / 8)];
    let v = 0;
    for (let bit = 0; bit < 3; bit++) v = (v << 2) | ((((x ^ y) >> bit) & 1) << 1) | ((y >> bit) & 1);
    return (v + 0.5) / 64 - 0.5;
  });
}

function lightness([r = 0, g = 0, b = 0]: readonly number[]): number {
  return 299 * r + 587 * g + 114 * b;
}

/** Maps pixels to entries of one palette. */
export class Dithering {
  readonly #palette: Palette;
  /** Its channels one after another. */
  readonly #flat: Float32Array;
  readonly #dither: Dither;
  /** Nearest entry by 6 bits a channel, found when first asked for; −1 where not yet. */
  readonly #nearest = new Int16Array(2 ** 18).fill(-1);
  readonly #mixtures = new Map<number, Uint8Array>();

  constructor(palette: Palette, dither: Dither) {
    this.#palette = palette;
    this.#flat = Float32Array.from(palette.flat());
    this.#dither = dither;
  }

  /** The palette entry of each pixel. */
  apply(picture: Picture): Uint8Array {
    switch (this.#dither) {
      case "blue-noise":
        return this.#ordered(picture, blueNoise(), BLUE_NOISE_SIZE);
      case "bayer":
        return this.#ordered(picture, bayer(), 8);
      case "floyd-steinberg":
        return this.#diffused(picture);
      case "none": {
        const { rgba } = picture;
        return new Uint8Array(rgba.length / 4).map((_, p) =>
          this.#find(rgba[p * 4]!, rgba[p * 4 + 1]!, rgba[p * 4 + 2]!),
        );
      }
    }
  }

  #ordered({ width, height, rgba }: Picture, map: Float32Array, side: number): Uint8Array {
    const order = Uint8Array.from(map, (v) => Math.floor((v + 0.5) * MIXED));
    const out = new Uint8Array(width * height);
    for (let y = 0, p = 0; y < height; y++)
      for (let x = 0; x < width; x++, p++) {
        const mixture = this.#mixture(rgba[p * 4]!, rgba[p * 4 + 1]!, rgba[p * 4 + 2]!);
        out[p] = mixture[order[(y % side) * side + (x % side)]!]!;
      }
    return out;
  }

  /** Entries whose average is a colour, dark to light. */
  #mixture(r: number, g: number, b: number): Uint8Array {
    const shift = 8 - BITS;
    const key = ((r >> shift) << (2 * BITS)) | ((g >> shift) << BITS) | (b >> shift);
    const known = this.#mixtures.get(key);
    if (known) return known;
    // The first pixel with this key decides; others differ from it by less than 4 of 255.
    const error = [0, 0, 0];
    const chosen: number[] = [];
    for (let i = 0; i < MIXED; i++) {
      const entry = this.#find(r + STRENGTH * error[0]!, g + STRENGTH * error[1]!, b + STRENGTH * error[2]!);
      const color = this.#palette[entry]!;
      chosen.push(entry);
      error[0]! += r - color[0]!;
      error[1]! += g - color[1]!;
      error[2]! += b - color[2]!;
    }
    const mixture = Uint8Array.from(
      chosen.toSorted((x, y) => lightness(this.#palette[x]!) - lightness(this.#palette[y]!)),
    );
    this.#mixtures.set(key, mixture);
    return mixture;
  }

  /** Floyd and Steinberg's error diffusion: 7, 3, 5 and 1 sixteenths to the right, below left, below and below right. */
  #diffused({ width, height, rgba }: Picture): Uint8Array {
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

  /** The nearest entry, channels weighted roughly as the eye does. */
  #find(r: number, g: number, b: number): number {
    const clamp = (v: number) => (v < 0 ? 0 : v > 255 ? 63 : v >> 2);
    const key = (clamp(r) << 12) | (clamp(g) << 6) | clamp(b);
    const known = this.#nearest[key]!;
    if (known >= 0) return known;
    // The middle of the 4 × 4 × 4 colours that share the key.
    const [r0, g0, b0] = [(key >> 12) * 4 + 1.5, ((key >> 6) & 63) * 4 + 1.5, (key & 63) * 4 + 1.5];
    const flat = this.#flat;
    let best = 0;
    let least = Infinity;
    for (let i = 0; i < flat.length; i += 3) {
      const dr = flat[i]! - r0;
      const dg = flat[i + 1]! - g0;
      const db = flat[i + 2]! - b0;
      const d = 3 * dr * dr + 4 * dg * dg + 2 * db * db;
      if (d < least) {
        best = i / 3;
        least = d;
      }
    }
    return (this.#nearest[key] = best);
  }
}
