// Preprocessors against OpenCV, PIL and SciPy (test/reference/preprocess.py).

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { preprocess, type Preprocessor } from "../../src/io/preprocess.js";
import { fixturePath } from "../support/fixtures.js";

const cases = JSON.parse(readFileSync(fixturePath("preprocess.json"), "utf8")) as {
  size: [number, number];
  rgb: string;
  grey: string;
  canny: Record<string, string>;
  softedge: string;
}[];
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));

function clipOf([width, height]: [number, number], rgb: Uint8Array) {
  const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
    i % 4 === 3 ? 255 : rgb[Math.floor(i / 4) * 3 + (i % 4)]!,
  );
  return { width, height, count: 1, rgba };
}

/** One channel of the result, all being equal. */
function plane(p: Preprocessor, c: (typeof cases)[number]): Uint8Array {
  const { rgba } = preprocess(clipOf(c.size, bytes(c.rgb)), p);
  for (let i = 0; i < rgba.length; i += 4)
    expect([rgba[i + 1], rgba[i + 2], rgba[i + 3]]).toEqual([rgba[i], rgba[i], 255]);
  return rgba.filter((_, i) => i % 4 === 0);
}

describe.each(cases)("preprocess $size", (c) => {
  it.each(Object.keys(c.canny))("finds OpenCV's edges: canny %s", (thresholds) => {
    const edges = plane({ name: "canny", numbers: thresholds.split(",").map(Number) }, c);
    expect(Buffer.compare(edges, bytes(c.canny[thresholds]!))).toBe(0);
  });

  it("makes PIL's grey and SciPy's soft edges", () => {
    expect(Buffer.compare(plane({ name: "grey" }, c), bytes(c.grey))).toBe(0);
    expect(Buffer.compare(plane({ name: "softedge" }, c), bytes(c.softedge))).toBe(0);
  });
});

it("turns drawings to scribbles and blurs tiles", () => {
  const drawing = clipOf([2, 1], new Uint8Array([255, 250, 255, 255, 100, 255]));
  expect([...preprocess(drawing, { name: "scribble" }).rgba]).toEqual([0, 0, 0, 255, 255, 255, 255, 255]);
  const checks = clipOf(
    [4, 4],
    Uint8Array.from({ length: 48 }, (_, i) => ((Math.floor(i / 3) + Math.floor(i / 12)) % 2 === 0 ? 255 : 0)),
  );
  expect(new Set(preprocess(checks, { name: "tile", numbers: [4] }).rgba)).toEqual(new Set([128, 255]));
  expect(() => preprocess(drawing, { name: "tile", numbers: [0] })).toThrow("at least 1");
  expect(() => preprocess(drawing, { name: "grey", numbers: [3] })).toThrow("grey takes no numbers, got 3");
});
