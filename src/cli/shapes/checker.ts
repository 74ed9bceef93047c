// What a clip of the demo model shows: colour, shape, motion and background, by how the training clips are drawn and by nothing
// of the model. A port of models/shapes/train/checker.py; test/reference/shapes_checker.py holds the two together.

import { frameOf, type Clip } from "../../io/frames.js";
import {
  background,
  BACKGROUNDS,
  COLOURS,
  distance,
  SHAPES,
  SIZE,
  type BackgroundName,
  type ColourName,
  type ShapeName,
} from "./drawing.js";
import { centroid, eroded, largestPart, type Mask } from "./masks.js";
import { correlation, line, mean, median } from "./statistics.js";

export type MotionName = "moving left" | "moving right" | "moving up" | "moving down" | "growing" | "shrinking";

/** What a clip shows. */
export interface Finding {
  readonly background: BackgroundName;
  readonly colour: ColourName | undefined;
  readonly shape: ShapeName | "none" | undefined;
  readonly motion: MotionName | "none";
  /** Overlap (intersection over union) of the outline with the true shape it is nearest to. */
  readonly iou: number;
  /** Share of the frames in which an object is seen. */
  readonly visible: number;
  /** Travel over the clip in pixels, and the ratio of its last to its first size. */
  readonly dx: number;
  readonly dy: number;
  readonly ratio: number;
  /** Mean distance from a steady path, in pixels. */
  readonly jitter: number;
  /** Mean absolute difference of the clip's median picture from the background. */
  readonly backgroundError: number;
}

const SHADOW = [12, 10, 36] as const;
const PIXELS = SIZE * SIZE;
const backgrounds = new Map<BackgroundName, Float32Array>();

function backgroundOf(name: BackgroundName): Float32Array {
  const known = backgrounds.get(name) ?? background(name);
  backgrounds.set(name, known);
  return known;
}

/** The median over the frames of each channel of each pixel, `[128, 128, 3]`. */
function medianFrame(clip: Clip): Float32Array {
  const out = new Float32Array(PIXELS * 3);
  const values: number[] = [];
  for (let p = 0; p < PIXELS; p++)
    for (let k = 0; k < 3; k++) {
      for (let i = 0; i < clip.count; i++) values[i] = clip.rgba[(i * PIXELS + p) * 4 + k]!;
      out[p * 3 + k] = median(values);
    }
  return out;
}

function nearestBackground(picture: Float32Array): BackgroundName {
  const off = (name: BackgroundName) => {
    const b = backgroundOf(name);
    return median(
      Array.from({ length: PIXELS }, (_, p) =>
        [0, 1, 2].reduce((s, k) => s + Math.abs(picture[p * 3 + k]! - b[p * 3 + k]!), 0),
      ),
    );
  };
  return least(BACKGROUNDS, off);
}

function least<T>(all: readonly T[], cost: (t: T) => number): T {
  const costs = all.map(cost);
  return all[costs.indexOf(Math.min(...costs))]!;
}

/** Pixels that are neither background nor background under the drop shadow. */
function objectMask(rgba: Uint8Array, b: Float32Array): Mask {
  return Uint8Array.from({ length: PIXELS }, (_, p) => {
    let [dot, square] = [0, 0];
    for (let k = 0; k < 3; k++) {
      const d = SHADOW[k]! - b[p * 3 + k]!;
      dot += (rgba[p * 4 + k]! - b[p * 3 + k]!) * d;
      square += d * d;
    }
    const t = Math.min(0.42, Math.max(0, dot / square));
    let off = 0;
    for (let k = 0; k < 3; k++) off += (rgba[p * 4 + k]! - b[p * 3 + k]! - t * (SHADOW[k]! - b[p * 3 + k]!)) ** 2;
    return off > 34 ** 2 ? 1 : 0;
  });
}

interface Template {
  /** Area over the radius squared; the centroid's place over the radius. */
  readonly area: number;
  readonly x: number;
  readonly y: number;
}
const templates = new Map<ShapeName, Template>();

function templateOf(shape: ShapeName): Template {
  let t = templates.get(shape);
  if (!t) {
    const mask = Uint8Array.from({ length: PIXELS }, (_, p) =>
      distance(shape, (p % SIZE) + 0.5 - 64, Math.floor(p / SIZE) + 0.5 - 64, 30) < 0 ? 1 : 0,
    );
    const { area, x, y } = centroid(mask);
    t = { area: area / 900, x: (x - 64) / 30, y: (y - 64) / 30 };
    templates.set(shape, t);
  }
  return t;
}

/** Best intersection over union of the mask with the shape of the same area and centroid. */
function overlap(mask: Mask, at: ReturnType<typeof centroid>, shape: ShapeName): number {
  const { area, x: ox, y: oy } = templateOf(shape);
  const r0 = Math.sqrt(at.area / area);
  let best = 0;
  for (const s of [0.94, 1, 1.06])
    for (const dy of [-1.5, 0, 1.5]) {
      const r = r0 * s;
      const [cx, cy] = [at.x - ox * r, at.y - oy * r + dy];
      let [both, inside] = [0, 0];
      // No shape reaches further than 1.5 radii.
      for (let row = Math.max(0, Math.floor(cy - 1.5 * r)); row < Math.min(SIZE, cy + 1.5 * r); row++)
        for (let column = Math.max(0, Math.floor(cx - 1.5 * r)); column < Math.min(SIZE, cx + 1.5 * r); column++)
          if (distance(shape, column + 0.5 - cx, row + 0.5 - cy, r) < 0) {
            inside++;
            both += mask[row * SIZE + column]!;
          }
      const either = inside + at.area - both;
      best = Math.max(best, both / Math.max(1, either));
    }
  return best;
}

/** The colour that is nearest to the median of the object's inside. */
function colourOf(rgba: Uint8Array, mask: Mask): ColourName {
  const core = eroded(mask, 4);
  const area = core.reduce((n, v) => n + v, 0);
  const within = area >= 20 ? core : mask;
  const rgb = [0, 1, 2].map((k) => median([...within.keys()].filter((p) => within[p]).map((p) => rgba[p * 4 + k]!)));
  return least(Object.keys(COLOURS) as ColourName[], (c) => Math.hypot(...COLOURS[c].map((v, k) => v - rgb[k]!)));
}

/** What is said most often; the first of equals. */
function vote<T>(seen: readonly T[]): T | undefined {
  const counts = seen.map((v) => seen.filter((w) => w === v).length);
  return seen[counts.indexOf(Math.max(...counts))];
}

/**
 * What a clip of 128 × 128 pixels shows. The motion is "none" unless the object is seen in at least 12 frames and clearly travels (16 pixels) or changes its size (by
 * 1.3) over the clip, steadily: correlation with the time at least 0.8.
 * @throws RangeError for another size
 */
export function checkShapes(clip: Clip): Finding {
  if (clip.width !== SIZE || clip.height !== SIZE)
    throw new RangeError(
      `the checker knows clips of ${SIZE}x${SIZE} pixels, and this one has ${clip.width}x${clip.height}`,
    );
  const picture = medianFrame(clip);
  const name = nearestBackground(picture);
  const b = backgroundOf(name);
  const seen: { readonly i: number; readonly x: number; readonly y: number; readonly side: number }[] = [];
  const colours: ColourName[] = [];
  const shapes: (ShapeName | "none")[] = [];
  const ious: number[] = [];
  for (let i = 0; i < clip.count; i++) {
    const { rgba } = frameOf(clip, i);
    const mask = largestPart(objectMask(rgba, b), SIZE);
    const at = centroid(mask);
    if (at.area < 60 || at.area > 8192) continue; // nothing, or half of the picture: not an object
    seen.push({ i, x: at.x, y: at.y, side: Math.sqrt(at.area) });
    colours.push(colourOf(rgba, mask));
    if (i % 3 !== 0) continue;
    const fit = SHAPES.map((s) => overlap(mask, at, s));
    const best = Math.max(...fit);
    shapes.push(best > 0.6 ? SHAPES[fit.indexOf(best)]! : "none");
    ious.push(best);
  }
  return {
    background: name,
    colour: vote(colours),
    shape: vote(shapes),
    iou: ious.length === 0 ? 0 : mean(ious),
    visible: seen.length / clip.count,
    backgroundError: mean(Array.from(picture, (v, i) => Math.abs(v - b[i]!))),
    ...motionOf(seen, clip.count),
  };
}

function motionOf(
  seen: readonly { readonly i: number; readonly x: number; readonly y: number; readonly side: number }[],
  count: number,
): Pick<Finding, "motion" | "dx" | "dy" | "ratio" | "jitter"> {
  if (seen.length < 12) return { motion: "none", dx: 0, dy: 0, ratio: 1, jitter: 0 };
  const t = seen.map((s) => s.i);
  const [x, y, side] = [seen.map((s) => s.x), seen.map((s) => s.y), seen.map((s) => s.side)];
  const [lx, ly, ls] = [line(t, x), line(t, y), line(t, side)];
  const end = count - 1;
  const [dx, dy] = [lx.slope * end, ly.slope * end];
  const ratio = (ls.slope * end + ls.start) / Math.max(ls.start, 1);
  const off = (values: readonly number[], l: typeof lx) =>
    mean(values.map((v, k) => Math.abs(v - (l.slope * t[k]! + l.start))));
  const figures = { dx, dy, ratio, jitter: (off(x, lx) + off(y, ly)) / 2 };
  const steady = (values: readonly number[]) =>
    Math.abs(
      correlation(
        t,
        values.map((v, k) => v + 1e-6 * t[k]!),
      ),
    ) > 0.8;
  const sideways = Math.abs(dx) > Math.abs(dy);
  if (Math.max(Math.abs(dx), Math.abs(dy)) > 16) {
    if (!steady(sideways ? x : y)) return { motion: "none", ...figures };
    if (sideways) return { motion: dx > 0 ? "moving right" : "moving left", ...figures };
    return { motion: dy > 0 ? "moving down" : "moving up", ...figures };
  }
  if (steady(side) && (ratio > 1.3 || ratio < 1 / 1.3))
    return { motion: ratio > 1 ? "growing" : "shrinking", ...figures };
  return { motion: "none", ...figures };
}
