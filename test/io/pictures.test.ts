// PNG, APNG and GIF as written, decoded again: by fast-png, by chunk, and a GIF decoder of its own.

import { decode, decodeApng, encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { encodeApng } from "../../src/io/apng.js";
import { blueNoise } from "../../src/io/blue-noise.js";
import { PictureError } from "../../src/io/errors.js";
import { fraction, frameOf } from "../../src/io/frames.js";
import { encodeGif, gifComments } from "../../src/io/gif.js";
import { crc32, encodePng, pngChunks, pngTexts } from "../../src/io/png.js";
import { decodePng } from "../../src/io/png-reader.js";
import { movingSquare } from "./clip.js";
import { decodeGif } from "./gif-decoder.js";
import { Chance, fuzzCount, mutate } from "./mutations.js";

const clip = movingSquare();
const u32 = (d: Uint8Array, at: number) => new DataView(d.buffer, d.byteOffset).getUint32(at);
const u16 = (d: Uint8Array, at: number) => new DataView(d.buffer, d.byteOffset).getUint16(at);

describe("PNG", () => {
  it("keeps pixels, size and texts", async () => {
    const png = await encodePng(frameOf(clip, 1), { plain: "a line\nand another", wide: "日本 – ü" });
    const decoded = decode(png, { checkCrc: true });
    expect([decoded.width, decoded.height, decoded.channels, decoded.depth]).toEqual([24, 16, 3, 8]);
    expect([...decoded.data]).toEqual([...frameOf(clip, 1).rgba].filter((_, i) => i % 4 !== 3));
    expect(pngChunks(png).map((c) => c.type)).toEqual(["IHDR", "tEXt", "iTXt", "IDAT", "IEND"]);
    expect(Object.fromEntries(await pngTexts(png))).toEqual({ plain: "a line\nand another", wide: "日本 – ü" });
    expect(decodePng(png).rgba).toEqual(frameOf(clip, 1).rgba);
  });

  it("reads grey, alpha, palettes and 16 bits", () => {
    const two = { width: 2, height: 1 };
    const read = (data: number[], channels: number, more: object = {}) => [
      ...decodePng(encode({ ...two, data: new Uint8Array(data), channels, depth: 8, ...more })).rgba,
    ];
    expect(read([7, 200], 1)).toEqual([7, 7, 7, 255, 200, 200, 200, 255]);
    expect(read([7, 9, 200, 0], 2)).toEqual([7, 7, 7, 9, 200, 200, 200, 0]);
    expect(read([1, 2, 3, 4, 5, 6, 7, 8], 4)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(
      read([1, 0], 1, {
        palette: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      }),
    ).toEqual([4, 5, 6, 255, 1, 2, 3, 255]);
    const deep = encode({ ...two, data: new Uint16Array([65535, 0, 128, 257, 514, 771]), channels: 3, depth: 16 });
    expect([...decodePng(deep).rgba]).toEqual([255, 0, 0, 255, 1, 2, 3, 255]);
  });

  it("refuses what is damaged, cut off or too large", async () => {
    const png = await encodePng(frameOf(clip, 0));
    expect(() => decodePng(png.slice(0, -13))).toThrow(/cut off/);
    const flipped = png.slice();
    flipped[60]! ^= 1;
    expect(() => decodePng(flipped)).toThrow(/checksum of its chunk IDAT/);
    const huge = png.slice();
    new DataView(huge.buffer).setUint32(16, 2 ** 30);
    new DataView(huge.buffer).setUint32(29, crc32(huge.subarray(12, 29)));
    expect(() => decodePng(huge)).toThrow(/more than is read here/);
    expect(() => decodePng(new Uint8Array(20))).toThrow(/no PNG file/);
  });

  it("survives mutation with errors of ours", async () => {
    const chance = new Chance(3);
    const original = await encodeApng(movingSquare(6, 5, 3), { fps: 8, texts: { a: "b", c: "ü日" } });
    const chunks = pngChunks(original);
    let read = 0;
    for (let i = 0; i < fuzzCount(1500); i++) {
      let bytes: Uint8Array = mutate(original, chance);
      if (chance.below(2) === 0) {
        // Whole chunks with right checksums, so that mutations reach what lies behind them.
        const { pngChunk, joinBytes, PNG_SIGNATURE } = await import("../../src/io/png.js");
        const parts = chunks.flatMap(({ type, data }) =>
          chance.below(8) === 0 ? [] : [pngChunk(type, chance.below(3) === 0 ? mutate(data, chance) : data)],
        );
        bytes = joinBytes([PNG_SIGNATURE, ...parts]);
      }
      try {
        decodePng(bytes);
        await pngTexts(bytes);
        read++;
      } catch (error) {
        if (!(error instanceof PictureError)) throw error;
      }
    }
    expect(read).toBeGreaterThan(0);
  });
});

describe("fraction", () => {
  it.each([
    [8, 8, 1],
    [12.5, 25, 2],
    [29.97, 2997, 100],
    [0.1, 1, 10],
    [24000 / 1001, 24000, 1001],
    [Math.PI, 103993, 33102],
  ])("%f is %i/%i where it fits 16 bits", (value, n, d) => {
    const got = fraction(value);
    if (n <= 65535) expect(got).toEqual([n, d]);
    else expect(Math.abs(got[0] / got[1] - value)).toBeLessThan(1e-6);
  });
  it.each([0, -1, NaN, 1e9, 1e-9])("refuses %f", (v) => expect(() => fraction(v)).toThrow(RangeError));
});

describe("APNG", () => {
  it("plays all frames, forever, at an exact rate", async () => {
    const png = await encodeApng(clip, { fps: 12.5, texts: { kineograph: "{}" } });
    const played = decodeApng(png, { checkCrc: true });
    expect([played.numberOfFrames, played.numberOfPlays]).toEqual([4, 0]);
    for (const f of played.frames) expect([f.delayNumber, f.delayDenominator]).toEqual([2, 25]);
    expect(decodePng(png).rgba).toEqual(clip.rgba);
  });

  it("numbers its chunks without gaps and stores only what changed", async () => {
    const chunks = pngChunks(await encodeApng(clip, { fps: 8 }));
    const numbers = chunks.filter((c) => c.type === "fcTL" || c.type === "fdAT").map((c) => u32(c.data, 0));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const places = chunks.filter((c) => c.type === "fcTL").map(({ data }) => [4, 8, 12, 16].map((at) => u32(data, at)));
    expect(places[0]).toEqual([24, 16, 0, 0]);
    expect(places[1]).toEqual([8, 5, 2, 6]);
    expect(chunks.filter((c) => c.type === "fcTL").map(({ data }) => [u16(data, 20), u16(data, 22)])[2]).toEqual([
      1, 8,
    ]);
  });

  it("keeps the count of frames where nothing changes, and is plain PNG for one", async () => {
    const still = { ...clip, count: 2, rgba: new Uint8Array([...frameOf(clip, 0).rgba, ...frameOf(clip, 0).rgba]) };
    const played = decodePng(await encodeApng(still, { fps: 8 }));
    expect(played.count).toBe(2);
    expect(played.rgba).toEqual(still.rgba);
    const one = await encodeApng(movingSquare(5, 4, 1), { fps: 8 });
    expect(pngChunks(one).map((c) => c.type)).toEqual(["IHDR", "IDAT", "IEND"]);
    await expect(encodeApng({ ...clip, count: 5 }, { fps: 8 })).rejects.toThrow(/takes 7680 bytes, got 6144/);
  });
});

describe("GIF", () => {
  it("plays all frames, forever, with the length the rate asks for", () => {
    const gif = decodeGif(encodeGif(clip, { fps: 8 }));
    expect([gif.width, gif.height, gif.frames.length, gif.loops]).toEqual([24, 16, 4, 0]);
    expect(gif.frames.map((f) => f.hundredths)).toEqual([13, 12, 13, 12]);
  });

  it.each(["blue-noise", "bayer", "floyd-steinberg", "none"] as const)("stays near the colours: %s", (dither) => {
    const gif = decodeGif(encodeGif(clip, { fps: 10, dither }));
    gif.frames.forEach((f, i) => {
      const wanted = frameOf(clip, i).rgba;
      const off = f.rgba.reduce((n, v, at) => n + Math.abs(v - wanted[at]!), 0) / f.rgba.length;
      expect(off).toBeLessThan(6);
    });
  });

  it("shows what does not change without flicker", () => {
    const gif = decodeGif(encodeGif(clip, { fps: 10 }));
    const corner = (f: { rgba: Uint8Array }) => [...f.rgba.subarray(0, 24 * 4 * 4)];
    for (const f of gif.frames) expect(corner(f)).toEqual(corner(gif.frames[0]!));
  });

  it("carries texts of any length as comments", () => {
    const text = `ü ${"long ".repeat(200)}`;
    const bytes = encodeGif(clip, { fps: 8, texts: { kineograph: text } });
    expect(gifComments(bytes)).toEqual([`kineograph ${text}`]);
    expect(() => gifComments(bytes.slice(0, -40))).toThrow(/cut off/);
    expect(() => gifComments(new Uint8Array(9))).toThrow(/no GIF/);
  });

  it("finds comments under mutation, or fails with an error of ours", () => {
    const chance = new Chance(5);
    const original = encodeGif(movingSquare(6, 5, 2), { fps: 8, texts: { kineograph: "x" } });
    let found = 0;
    for (let i = 0; i < fuzzCount(2000); i++)
      try {
        found += gifComments(mutate(original, chance)).length;
      } catch (error) {
        if (!(error instanceof PictureError)) throw error;
      }
    expect(found).toBeGreaterThan(0);
  });
});

describe("blueNoise", () => {
  it("has every threshold once, and no two of the lowest tenth as neighbours", () => {
    const map = blueNoise();
    const ranks = [...map].map((v) => Math.round((v + 0.5) * 1024 - 0.5)).toSorted((a, b) => a - b);
    expect(ranks).toEqual(Array.from({ length: 1024 }, (_, i) => i));
    const low = (x: number, y: number) => map[((y + 32) % 32) * 32 + ((x + 32) % 32)]! < -0.4;
    for (let y = 0; y < 32; y++)
      for (let x = 0; x < 32; x++) if (low(x, y)) expect([low(x + 1, y), low(x, y + 1)]).toEqual([false, false]);
  });
});
