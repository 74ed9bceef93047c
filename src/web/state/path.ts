// A path drawn on the picture, timed over the clip, and the pictures that a ControlNet for blobs reads: a white disc on
// black where the path is at each frame, edges blended over a pixel as in the drawings that the bundled one was trained on.
// Pure functions.

import type { Frames } from "../../index.js";

/** A place on the picture, 0 … 1 from its left and top edge, and when the path is there, 0 … 1 of the clip. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly t: number;
}

/** Where a path is at `t`: on the straight line between its neighbours, at its ends before and after them. */
export function placeAt(path: readonly Point[], t: number): Pick<Point, "x" | "y"> {
  const next = path.findIndex((p) => p.t >= t);
  const b = path[next < 0 ? path.length - 1 : next]!;
  const a = path[next - 1];
  if (!a || b.t <= a.t) return b;
  const part = (t - a.t) / (b.t - a.t);
  return { x: a.x + part * (b.x - a.x), y: a.y + part * (b.y - a.y) };
}

/** Discs along a path, of this radius in parts of the shorter side. */
export function discFrames(
  path: readonly Point[],
  radius: number,
  { width, height, frames: count }: { readonly width: number; readonly height: number; readonly frames: number },
): Frames {
  const rgba = new Uint8Array(count * width * height * 4);
  const r = radius * Math.min(width, height);
  let at = 0;
  for (let frame = 0; frame < count; frame++) {
    const place = placeAt(path, count === 1 ? 0 : frame / (count - 1));
    const [cx, cy] = [place.x * width - 0.5, place.y * height - 0.5];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const level = Math.round(255 * Math.min(1, Math.max(0, 0.5 + r - Math.hypot(x - cx, y - cy))));
        rgba.fill(level, at, at + 3);
        rgba[at + 3] = 255;
        at += 4;
      }
  }
  return { width, height, count, rgba };
}

/** Points of a drawn line, times from 0 to 1; those that a straight line between the others passes within `error` are left out. */
export function simplified(line: readonly Point[], error = 0.006): readonly Point[] {
  const [first, last] = [line[0], line.at(-1)];
  if (!first || !last) return [];
  const span = last.t - first.t;
  const timed = line.map((p) => ({ ...p, t: span > 0 ? (p.t - first.t) / span : 0 }));
  const keep = (from: number, to: number): readonly Point[] => {
    let [worst, most] = [0, error];
    for (let i = from + 1; i < to; i++) {
      // Where it would be at this time, were the line straight: so that its speed is kept too.
      const p = timed[i]!;
      const straight = placeAt([timed[from]!, timed[to]!], p.t);
      const off = Math.hypot(p.x - straight.x, p.y - straight.y);
      if (off > most) [worst, most] = [i, off];
    }
    return worst === 0 ? [timed[from]!] : [...keep(from, worst), ...keep(worst, to)];
  };
  if (timed.length < 2) return timed;
  const digits = (n: number) => Math.round(n * 1000) / 1000;
  return [...keep(0, timed.length - 1), timed.at(-1)!].map(({ x, y, t }) => ({
    x: digits(x),
    y: digits(y),
    t: digits(t),
  }));
}

/** What of a value from outside (a link, a file) is a path: points in the picture, in the order of their times. */
export function pathFrom(value: unknown): readonly Point[] {
  if (!Array.isArray(value)) return [];
  const unit = (n: unknown): n is number => typeof n === "number" && n >= 0 && n <= 1;
  const points = value.flatMap((p: Partial<Point> | null) => {
    const { x, y, t } = p ?? {};
    return unit(x) && unit(y) && unit(t) ? [{ x, y, t }] : [];
  });
  return points.toSorted((a, b) => a.t - b.t);
}
