// Every bit as OpenCV's and AnimateLCM's; the fixture is written by test/reference/colour-match.py.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { fromHsv, matchColours, toHsv } from "../../src/io/colour-match.js";
import { fixturePath } from "../support/fixtures.js";

const stored = JSON.parse(readFileSync(fixturePath("colour-match.json"), "utf8")) as {
  rgb: string;
  hsv: string;
  back: { hsv: string; rgb: string };
  cases: { source: string; target: string; result: string }[];
};
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const rgba = (rgb: Uint8Array) =>
  Uint8Array.from({ length: (rgb.length / 3) * 4 }, (_, i) =>
    i % 4 === 3 ? 255 : rgb[Math.floor(i / 4) * 3 + (i % 4)]!,
  );

/** Entries that differ, to show some. */
function differing(a: Uint8Array, b: Uint8Array): number[] {
  return [...a.keys()].filter((i) => a[i] !== b[i]);
}

describe("OpenCV's HSV", () => {
  it("is what RGB becomes", () => {
    expect(differing(toHsv(rgba(bytes(stored.rgb))), bytes(stored.hsv))).toEqual([]);
  });

  it("becomes RGB", () => {
    const hsv = bytes(stored.back.hsv);
    const out = rgba(new Uint8Array(hsv.length));
    fromHsv(hsv, out);
    expect(differing(out, rgba(bytes(stored.back.rgb)))).toEqual([]);
  });
});

describe("matchColours", () => {
  it.each(stored.cases)("makes AnimateLCM's frames", ({ source, target, result }) => {
    const clip = { width: 64, height: 8, count: 1, rgba: rgba(bytes(target)) };
    const matched = matchColours(clip, { width: 64, height: 9, rgba: rgba(bytes(source)) });
    expect(differing(matched.rgba, rgba(bytes(result)))).toEqual([]);
  });
});
