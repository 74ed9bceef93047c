import { describe, expect, it } from "vitest";
import { fusionRuns, runsOf } from "../../src/models/unet/frame-windows.js";
import { loopedWindows, staticWindows, wholeClip } from "../../src/pipelines/windows.js";

const SHAPES = [
  [16, 16, 4],
  [32, 16, 4],
  [33, 16, 8],
  [25, 16, 5],
  [64, 16, 16],
  [7, 5, 3],
  [9, 1, 1],
] as const;

describe.each([
  ["static", staticWindows],
  ["looped", loopedWindows],
] as const)("%s windows", (name, schedule) => {
  it.each(SHAPES)(
    "of %i frames, %i at once, %i apart: every frame is covered, its weights add up to 1",
    (frames, context, stride) => {
      for (const step of [0, 1, 2, 3, 10]) {
        const sums = new Float64Array(frames);
        for (const window of schedule(frames, context, stride)(step)) {
          expect(window.frames).toHaveLength(context);
          expect(new Set(window.frames).size).toBe(context);
          for (const [i, frame] of window.frames.entries()) {
            expect(window.weights[i]).toBeGreaterThan(0);
            sums[frame]! += window.weights[i]!;
          }
        }
        for (const sum of sums) expect(sum, name).toBeCloseTo(1, 12);
      }
    },
  );
});

it("static windows begin with the clip, follow the stride, and end with the clip", () => {
  const starts = staticWindows(26, 16, 4)(0).map((w) => w.frames[0]);
  expect(starts).toEqual([0, 4, 8, 10]);
  expect(staticWindows(16, 16, 4)(0)).toHaveLength(1);
});

it("looped windows run over the clip's end, and no border stays in one place", () => {
  const schedule = loopedWindows(32, 16, 4);
  const starts = [0, 1, 2, 3].map((step) => schedule(step).map((w) => w.frames[0]!));
  expect(starts[0]).toEqual([0, 4, 8, 12, 16, 20, 24, 28]);
  expect(starts[1]).toEqual([2, 6, 10, 14, 18, 22, 26, 30]);
  expect(starts[2]![0]).toBe(1);
  expect(starts[3]![0]).toBe(3);
  expect(schedule(0).at(-1)!.frames).toEqual([28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

it("the whole clip is one window", () => {
  expect(wholeClip(3)(5)).toEqual([{ frames: [0, 1, 2], weights: [1, 1, 1] }]);
});

it("cuts windows into runs", () => {
  expect(runsOf([6, 7, 0, 1, 2])).toEqual([
    { at: 0, frame: 6, count: 2 },
    { at: 2, frame: 0, count: 3 },
  ]);
  expect(fusionRuns({ frames: [6, 7, 0, 1], weights: [1, 2, 3, 4] }, new Set([7, 0]))).toEqual([
    { from: 0, to: 6, weights: [1], add: false },
    { from: 1, to: 7, weights: [2], add: true },
    { from: 2, to: 0, weights: [3], add: true },
    { from: 3, to: 1, weights: [4], add: false },
  ]);
});
