// Paths drawn on the picture, without a browser.

import { expect, it } from "vitest";
import { discFrames, pathFrom, placeAt, simplified } from "../../src/web/state/path.js";

it("is between its points at the times between them, at its ends before and after", () => {
  const path = [
    { x: 0.2, y: 0, t: 0.25 },
    { x: 0.6, y: 1, t: 0.75 },
  ];
  expect(placeAt(path, 0)).toMatchObject({ x: 0.2, y: 0 });
  expect(placeAt(path, 0.5)).toEqual({ x: 0.4, y: 0.5 });
  expect(placeAt(path, 1)).toMatchObject({ x: 0.6, y: 1 });
});

it("keeps of a drawn line what a straight one would miss, its speed too", () => {
  // Right at an even speed, a rest, then down.
  const line = Array.from({ length: 61 }, (_, i) => ({
    x: Math.min(i, 20) / 40,
    y: Math.max(0, i - 40) / 40,
    t: 1000 + 10 * i,
  }));
  const points = simplified(line);
  expect(points).toEqual([
    { x: 0, y: 0, t: 0 },
    { x: 0.5, y: 0, t: 0.333 },
    { x: 0.5, y: 0, t: 0.667 },
    { x: 0.5, y: 0.5, t: 1 },
  ]);
  expect(simplified([])).toEqual([]);
  expect(simplified([{ x: 0.3, y: 0.4, t: 77 }])).toEqual([{ x: 0.3, y: 0.4, t: 0 }]);
});

it("draws the discs that the bundled network was trained on", () => {
  // models/shapes/train/adapters.py: clip(0.5 + r − hypot(x − cx, y − cy), 0, 1)
  const path = [
    { x: 0.25, y: 0.5, t: 0 },
    { x: 0.75, y: 0.5, t: 1 },
  ];
  const { rgba, count } = discFrames(path, 0.25, { width: 16, height: 8, frames: 3 });
  expect(count).toBe(3);
  for (const [frame, cx] of [3.5, 7.5, 11.5].entries())
    for (let y = 0; y < 8; y++)
      for (let x = 0; x < 16; x++) {
        const level = Math.round(255 * Math.min(1, Math.max(0, 0.5 + 2 - Math.hypot(x - cx, y - 3.5))));
        const at = ((frame * 8 + y) * 16 + x) * 4;
        expect([...rgba.subarray(at, at + 4)]).toEqual([level, level, level, 255]);
      }
});

it("takes of what comes from outside only points in the picture", () => {
  const good = { x: 0.5, y: 1, t: 0 };
  expect(pathFrom([{ ...good, t: 1 }, null, { x: 2, y: 0, t: 0 }, { x: "a", y: 0, t: 0 }, good])).toEqual([
    good,
    { ...good, t: 1 },
  ]);
  expect(pathFrom("no path")).toEqual([]);
});
