// Every bit as PIL's; the fixture is written by test/reference/resample.py.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { coverCrop, crop, resize, resizePart, roundHalfEven, type Filter } from "../../src/io/resample.js";
import { fixturePath } from "../support/fixtures.js";

type Size = readonly [number, number];
const { resize: resizes, cover } = JSON.parse(readFileSync(fixturePath("resample.json"), "utf8")) as {
  resize: { size: Size; new: Size; picture: string; results: Record<Filter, string> }[];
  cover: { size: Size; new: Size; picture: string; result: string }[];
};
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const picture = ([width, height]: Size, base64: string) => ({ width, height, rgba: bytes(base64) });

describe("resize", () => {
  for (const c of resizes)
    it.each(Object.entries(c.results))(
      `makes PIL's pictures: ${c.size.join("x")} to ${c.new.join("x")}, %s`,
      (name, expected) => {
        const result = resize(picture(c.size, c.picture), ...c.new, name as Filter);
        expect([result.width, result.height]).toEqual(c.new);
        expect(Buffer.compare(result.rgba, bytes(expected))).toBe(0);
      },
    );

  it("makes a part as it makes the whole", () => {
    for (const c of resizes) {
      const [width, height] = c.new;
      const box = { left: width >> 2, top: height >> 1, right: Math.max((width >> 2) + 1, width - 1), bottom: height };
      for (const filter of Object.keys(c.results) as Filter[]) {
        const p = picture(c.size, c.picture);
        const [part, cut] = [resizePart(p, width, height, filter, box), crop(resize(p, width, height, filter), box)];
        expect([part.width, part.height, Buffer.compare(part.rgba, cut.rgba)]).toEqual([cut.width, cut.height, 0]);
      }
    }
  });

  it("covers a square with a strip without making what is cut off", () => {
    for (const [width, height] of [
      [1, 2 ** 22],
      [2 ** 22, 1],
    ] as const) {
      const rgba = new Uint8Array(width * height * 4).fill(255);
      rgba.set([9, 8, 7, 255], 4 * 2 ** 21); // the pixel behind the middle
      const cut = coverCrop({ width, height, rgba }, 8, 8, "box");
      expect([...cut.rgba.subarray(4 * 63)]).toEqual([9, 8, 7, 255]);
    }
  });

  it("gives back a picture of the wanted size", () => {
    const p = picture(resizes[0]!.size, resizes[0]!.picture);
    expect(resize(p, p.width, p.height, "lanczos")).toBe(p);
  });

  it("refuses sizes that are none", () => {
    const p = { width: 1, height: 1, rgba: new Uint8Array(4) };
    expect(() => resize(p, 0, 4, "box")).toThrow("cannot be resized to 0x4");
    expect(() => resize(p, 4, 2.5, "box")).toThrow("cannot be resized to 4x2.5");
    expect(() => crop(p, { left: 0, top: 0, right: 0, bottom: 1 })).toThrow("cannot be cropped to 0x1");
  });
});

describe("crops", () => {
  it.each(cover)("cover $size by $new as AnimateLCM does", (c) => {
    const result = coverCrop(picture(c.size, c.picture), ...c.new);
    expect([result.width, result.height]).toEqual(c.new);
    expect(Buffer.compare(result.rgba, bytes(c.result))).toBe(0);
  });

  it("are black and transparent outside", () => {
    const p = { width: 1, height: 1, rgba: new Uint8Array([1, 2, 3, 255]) };
    expect([...crop(p, { left: -1, top: 0, right: 1, bottom: 2 }).rgba]).toEqual([
      0, 0, 0, 0, 1, 2, 3, 255, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
  });

  it("round halves to even", () => {
    expect([24.5, 25.5, -0.5, 1.4, 1.6, -1.5].map(roundHalfEven)).toEqual([24, 26, 0, 1, 2, -2]);
  });
});
