// Labels, contact sheets and side-by-side clips.

import { describe, expect, it } from "vitest";
import { frameOf, type Picture } from "../../src/io/frames.js";
import { contactSheet, sideBySide, textWidth } from "../../src/io/montage.js";
import { movingSquare } from "./clip.js";

const clip = movingSquare(24, 16, 4);

/** A part of a picture. */
function cut({ width, rgba }: Picture, x: number, y: number, w: number, h: number): Uint8Array {
  const out = new Uint8Array(w * h * 4);
  for (let r = 0; r < h; r++)
    out.set(rgba.subarray(((y + r) * width + x) * 4, ((y + r) * width + x + w) * 4), r * w * 4);
  return out;
}
/** Pixels with ink in a band of rows. */
function ink(picture: Picture, y: number, h: number): number {
  return cut(picture, 0, y, picture.width, h).filter((v, i) => i % 4 === 0 && v > 120).length;
}

describe("montage", () => {
  it("plays clips side by side under their labels, even sized; missing ones stay empty", () => {
    const all = sideBySide({
      title: "a title",
      columns: ["one", "two"],
      rows: [
        { label: "first", clips: [clip, movingSquare(24, 16, 2)] },
        { label: "second", clips: [undefined, clip] },
      ],
    });
    expect([all.width % 2, all.height % 2, all.count]).toEqual([0, 0, 4]);
    const top = 40 + 20;
    for (const i of [0, 3]) {
      const frame = frameOf(all, i);
      expect(Buffer.compare(cut(frame, 4, top, 24, 16), frameOf(clip, i).rgba)).toBe(0);
      // The shorter clip holds its last frame.
      const held = frameOf(movingSquare(24, 16, 2), Math.min(i, 1)).rgba;
      expect(Buffer.compare(cut(frame, 32, top, 24, 16), held)).toBe(0);
      expect(Buffer.compare(cut(frame, 32, top + 40, 24, 16), frameOf(clip, i).rgba)).toBe(0);
      expect(new Set(cut(frame, 4, top + 40, 24, 16)).size).toBe(3); // two levels of the paper and the opacity
    }
    expect(ink(frameOf(all, 0), 0, 20)).toBeGreaterThan(20);
  });

  it("shows the first and the last frame on a sheet, each clip under its labels", () => {
    const sheet = contactSheet(
      { title: "", columns: ["LCM"], rows: [{ label: "2 steps", clips: [clip] }] },
      { frames: 2 },
    );
    expect([sheet.width, sheet.height]).toEqual([8 + 48, 20 + 16 + 4]);
    expect(Buffer.compare(cut(sheet, 4, 20, 24, 16), frameOf(clip, 0).rgba)).toBe(0);
    expect(Buffer.compare(cut(sheet, 28, 20, 24, 16), frameOf(clip, 3).rgba)).toBe(0);
    expect(ink(sheet, 0, 20)).toBeGreaterThan(10);
  });

  it("scales large clips down", () => {
    const all = sideBySide(
      { title: "", columns: [""], rows: [{ label: "", clips: [movingSquare(600, 300, 1)] }] },
      100,
    );
    expect([all.width, all.height]).toEqual([108, 20 + 50 + 4]);
  });

  it("measures text, and what it has no letter for as a question mark", () => {
    expect(textWidth("iiii")).toBeLessThan(textWidth("WWWW"));
    expect(textWidth("日")).toBe(textWidth("?"));
    expect(() => sideBySide({ title: "", columns: [], rows: [] })).toThrow(/at least one clip/);
  });
});
