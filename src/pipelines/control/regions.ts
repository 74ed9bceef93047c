// Regional prompts (this project's own formula): every layer that reads the text attends to the prompt and, by the same
// queries, to each region's text, and blends the results position by position:
//   out(p) = (1 − Σᵢ sᵢ(p)) · attend(prompt) + Σᵢ sᵢ(p) · attend(region i),   sᵢ = (1 − base) · mᵢ / max(1, Σⱼ mⱼ)
// mᵢ(p), 0 … 1: how much of position p's cell region i covers, at each resolution of the UNet. Knows no device.

import { checkClip, frameOf, type Clip } from "../../io/frames.js";
import { grey } from "../../io/preprocess.js";
import { coverClip } from "../video-latents.js";

/** x, y, width, height from the top left: fractions of the picture where all four are at most 1, else whole pixels. */
export type Rectangle = readonly [x: number, y: number, width: number, height: number];

/** A prompt for a part of the picture. */
export interface RegionOptions {
  readonly prompt: string;
  /**
   * A rectangle, or a mask: grey pictures, white where the prompt holds; one for all frames or one a frame. Masks are scaled to
   * cover the run's size (Lanczos) and cut around their middle.
   */
  readonly area: Rectangle | Clip;
}

/** Regions of a run. */
export interface RegionInputs {
  /** Where regions overlap, they share. */
  readonly regions?: readonly RegionOptions[];
  /** What the prompt itself keeps inside regions, 0 … 1. Default 0. */
  readonly regionBase?: number;
}

/** A rectangle in fractions of the picture. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** With defaults, checked. */
export interface RegionSettings {
  readonly regions: readonly { readonly prompt: string; readonly area: Box | Clip }[];
  readonly base: number;
}

/** Share of the prompt inside regions, unless said otherwise. */
const BASE = 0;

/** Fills in defaults. @throws Error for the first region that cannot work: what it is, what was expected */
export function settleRegions(
  { regions = [], regionBase }: RegionInputs,
  run: { readonly width: number; readonly height: number; readonly frames: number },
): RegionSettings {
  if (regions.length === 0 && regionBase !== undefined)
    throw new Error(
      "regionBase is the prompt's share inside regions, and there are none; leave it out, or add a region",
    );
  const base = regionBase ?? BASE;
  if (!(base >= 0 && base <= 1))
    throw new Error(`regionBase is ${base}, expected the prompt's share inside regions, 0 to 1`);
  return {
    base,
    regions: regions.map(({ prompt, area }, i) => {
      if (prompt.trim() === "")
        throw new Error(`region ${i + 1} has no prompt; say what its part of the picture shows`);
      const name = `region ${i + 1}, "${prompt}"`;
      return { prompt, area: "rgba" in area ? checkedMask(area, run.frames, name) : boxOf(area, run, name) };
    }),
  };
}

/**
 * A rectangle in fractions. Without a size only what needs none is checked.
 * @throws Error where it is none, or lies beyond the picture
 */
export function boxOf(
  area: Rectangle,
  size: { readonly width: number; readonly height: number } | undefined,
  name: string,
): Box {
  const text = area.join(",");
  const [x, y, w, h] = area;
  const pixels = area.some((v) => v > 1);
  if (area.length !== 4 || !area.every(Number.isFinite) || (pixels && !area.every(Number.isInteger)))
    throw new Error(
      `${name} lies at ${text}, expected x,y,width,height: four fractions from 0 to 1, or four whole numbers of pixels`,
    );
  if (w <= 0 || h <= 0) throw new Error(`${name} lies at ${text}, and has no area; width and height are above 0`);
  const [width, height] = pixels ? [size?.width ?? Infinity, size?.height ?? Infinity] : [1, 1];
  const slack = pixels ? 0 : 1e-6; // 0.7 + 0.3 is not quite 1
  if (x < 0 || y < 0 || x + w > width + slack || y + h > height + slack)
    throw new Error(
      `${name} lies at ${text}, from ${x},${y} to ${x + w},${y + h}, beyond the picture, which goes from 0,0 to ${width},${height}${pixels ? " in pixels" : ""}`,
    );
  return { x: x / width, y: y / height, width: w / width, height: h / height };
}

/** Colours of a mask may differ by so much, as JPEG makes them. */
const TINT = 32;

function checkedMask(mask: Clip, frames: number, name: string): Clip {
  checkClip(mask);
  if (mask.count !== 1 && mask.count !== frames)
    throw new Error(
      `${name}: its mask has ${mask.count} pictures for ${frames} frames; give one for each, or one for all`,
    );
  let white = false;
  for (let i = 0; i < mask.rgba.length; i += 4) {
    const [r, g, b] = [mask.rgba[i]!, mask.rgba[i + 1]!, mask.rgba[i + 2]!];
    if (Math.max(r, g, b) - Math.min(r, g, b) > TINT)
      throw new Error(
        `${name}: its mask has colours (${r}, ${g}, ${b}), expected a grey picture, white where the prompt holds and black elsewhere`,
      );
    white ||= g >= 8;
  }
  if (!white) throw new Error(`${name}: its mask is black everywhere, and marks no part of the picture`);
  return mask;
}

/** Sizes of the maps inside a UNet of so many levels: each half the one before, rounded up. */
export function levelSizes(h: number, w: number, levels: number): (readonly [h: number, w: number])[] {
  return Array.from({ length: levels }, (_, i) => [Math.ceil(h / 2 ** i), Math.ceil(w / 2 ** i)] as const);
}

/**
 * What each region takes of what is there when its turn comes, f32 `[k, h·w]`, k being the frames where a mask moves, else 1.
 * In order, y ← (1 − t) · y + t · region then gives the formula's shares: tᵢ = sᵢ / (1 − Σ_{j>i} sⱼ).
 */
export function regionTurns(
  { regions, base }: RegionSettings,
  [h, w]: readonly [h: number, w: number],
  size: { readonly width: number; readonly height: number },
): { readonly count: number; readonly turns: readonly Float32Array[] } {
  const covers = regions.map(({ area }) => ("rgba" in area ? maskCover(area, size, h, w) : boxCover(area, h, w)));
  const n = h * w;
  const count = Math.max(...covers.map((c) => c.length)) / n;
  const turns = covers.map(() => new Float32Array(count * n));
  for (let p = 0; p < count * n; p++) {
    const m = covers.map((c) => c[p % c.length]!);
    const scale =
      (1 - base) /
      Math.max(
        1,
        m.reduce((sum, v) => sum + v, 0),
      );
    let rest = 1; // 1 − Σ of the shares of later regions
    for (let i = m.length - 1; i >= 0; i--) {
      const share = m[i]! * scale;
      turns[i]![p] = rest > 0 ? Math.min(1, share / rest) : 0;
      rest -= share;
    }
  }
  return { count, turns };
}

/** How much of each of n equal cells of 0 … 1 lies between two places. */
function overlaps(n: number, from: number, to: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => Math.max(0, Math.min(1, to * n - i) - Math.max(0, from * n - i)));
}

function boxCover({ x, y, width, height }: Box, h: number, w: number): Float64Array {
  const [rows, columns] = [overlaps(h, y, y + height), overlaps(w, x, x + width)];
  return Float64Array.from({ length: h * w }, (_, p) => rows[Math.floor(p / w)]! * columns[p % w]!);
}

/** A mask's luminance, averaged over each cell. */
function maskCover(
  mask: Clip,
  { width, height }: { readonly width: number; readonly height: number },
  h: number,
  w: number,
): Float64Array {
  const clip = coverClip(mask, width, height);
  const [down, across] = [averages(height, h), averages(width, w)];
  const out = new Float64Array(clip.count * h * w);
  for (let f = 0; f < clip.count; f++) {
    const plane = grey(frameOf(clip, f));
    for (let i = 0; i < h; i++)
      for (const [y, a] of down[i]!)
        for (let j = 0; j < w; j++)
          for (const [x, b] of across[j]!) out[(f * h + i) * w + j]! += (a * b * plane[y * width + x]!) / 255;
  }
  return out;
}

/** For each of n cells over `size` pixels: the pixels in it with their parts of it. */
function averages(size: number, n: number): (readonly [pixel: number, part: number])[][] {
  return Array.from({ length: n }, (_, i) => {
    const [from, to] = [(i * size) / n, ((i + 1) * size) / n];
    const pixels: (readonly [number, number])[] = [];
    for (let p = Math.floor(from); p < to; p++)
      pixels.push([p, ((Math.min(to, p + 1) - Math.max(from, p)) * n) / size]);
    return pixels;
  });
}
