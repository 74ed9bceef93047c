// Pictures as people have them, through every option that takes one: odd ones are read as PIL reads them, those that cannot be
// are refused in a sentence before anything is loaded.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { encode } from "fast-png";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { frameOf } from "../../src/io/frames.js";
import { encodeGif } from "../../src/io/gif.js";
import { encodePng, PNG_SIGNATURE, pngChunk } from "../../src/io/png.js";
import { sampleVideo } from "../../src/io/video.js";
import { openVideo, readVideo } from "../../src/io/video-file.js";
import { callCommandLine, tinyRun } from "../support/command-line.js";
import { fixturePath } from "../support/fixtures.js";
import { movingSquare } from "../io/clip.js";

let folder: string;
const at = (name: string) => join(folder, name);
const clip = movingSquare();

/** A PNG of 20,000 × 20,000 pixels in a few kilobytes, whole and right. */
function hugePng(): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, 20_000);
  view.setUint32(4, 20_000);
  header.set([1, 0, 0, 0, 0], 8); // one bit of grey a pixel
  const data = new Uint8Array(deflateSync(Buffer.alloc(20_000 * (1 + 2_500))));
  const parts = [PNG_SIGNATURE, pngChunk("IHDR", header), pngChunk("IDAT", data), pngChunk("IEND", new Uint8Array())];
  return Buffer.concat(parts);
}

/** The size in a JPEG's frame header, changed. */
function resized(jpeg: Buffer, size: number): Buffer {
  const out = Buffer.from(jpeg);
  let i = 2;
  while (out[i + 1] !== 0xc0 && out[i + 1] !== 0xc2) i += 2 + out.readUInt16BE(i + 2);
  out.writeUInt16BE(size, i + 5);
  out.writeUInt16BE(size, i + 7);
  return out;
}

const PIL = JSON.parse(readFileSync(fixturePath("pictures.json"), "utf8")) as readonly {
  readonly name: string;
  readonly file: string;
  readonly size: readonly [number, number];
  readonly rgb: string;
}[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-pictures-"));
  for (const { name, file } of PIL) writeFileSync(at(name), Buffer.from(file, "base64"));
  const still = sharp(frameOf(clip, 0).rgba, { raw: { width: 24, height: 16, channels: 4 } }).removeAlpha();
  const jpeg = await still.clone().jpeg({ quality: 95 }).toBuffer();
  const png = await encodePng(frameOf(clip, 0));
  const deep = Uint16Array.from([65535, 0, 32768, 1000, 2000, 3000]);
  const files: Record<string, Uint8Array> = {
    "one.png": encode({ width: 1, height: 1, data: new Uint8Array([200, 100, 50]), channels: 3, depth: 8 }),
    "strip.png": encode({ width: 1, height: 20_000, data: new Uint8Array(60_000).fill(90), channels: 3, depth: 8 }),
    "deep.png": encode({ width: 2, height: 1, data: deep, channels: 3, depth: 16 }),
    "cmyk.jpg": await still.clone().toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer(),
    "moving.gif": encodeGif(clip, { fps: 8 }),
    "cut.png": png.subarray(0, png.length - 30),
    "cut.jpg": jpeg.subarray(0, jpeg.length - 120),
    "cut.gif": encodeGif(frameOf2(), { fps: 8 }).subarray(0, 820),
    "huge.png": hugePng(),
    "huge.jpg": resized(jpeg, 20_000),
  };
  for (const [name, data] of Object.entries(files)) writeFileSync(at(name), data);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A clip of one frame. */
function frameOf2() {
  return { ...frameOf(clip, 0), count: 1 };
}

describe("odd pictures", () => {
  it.each(PIL.map((p) => [p.name, p] as const))("%s is what PIL makes of it", async (name, { size, rgb }) => {
    const read = await readVideo(at(name), { fps: 1 });
    expect([read.width, read.height]).toEqual(size);
    expect([...read.rgba].filter((_, i) => i % 4 !== 3)).toEqual([...Buffer.from(rgb, "base64")]);
  });

  it("16 bits are rounded to 8, the colours of inks are those of sRGB", async () => {
    expect([...(await readVideo(at("deep.png"), { fps: 1 })).rgba]).toEqual([255, 0, 128, 255, 4, 8, 12, 255]);
    const cmyk = await readVideo(at("cmyk.jpg"), { fps: 1 });
    expect(cmyk).toMatchObject({ width: 24, height: 16, count: 1 });
  });

  it.each(["huge.png", "huge.jpg"])("of %s nothing is decoded", async (name) => {
    const source = await openVideo(at(name));
    expect(source.info).toMatchObject({ width: 20_000, height: 20_000 });
    const watched = {
      ...source,
      pictures: () => {
        throw new Error("decoded");
      },
    };
    await expect(sampleVideo(watched, { fps: 8, width: 16, height: 16 })).rejects.toThrow(
      /has frames of 20000x20000 pixels, more than the 67108864 that are read; make it smaller first/,
    );
  });
});

/** Every option that takes pictures. */
const OPTIONS: Readonly<Record<string, (path: string) => Readonly<Record<string, string>>>> = {
  "--image": (image) => ({ image, motion: fixturePath("tiny-a-i2v") }),
  "--control": (path) => ({ control: `${fixturePath("tiny-a-controlnet")}=${path}` }),
  "--ip-image": (ipImage) => ({
    ipImage,
    ipAdapter: fixturePath("tiny-a-ip-adapter.safetensors"),
    ipEncoder: fixturePath("tiny-a-ip-encoder"),
  }),
  "--init-video": (initVideo) => ({ initVideo }),
};
const TINY = tinyRun(1, "16x16", 2);

describe.each(Object.entries(OPTIONS))("%s", (_, option) => {
  it.each([
    ["huge.png", /huge\.png has frames of 20000x20000 pixels, more than the 67108864 that are read/],
    ["huge.jpg", /huge\.jpg has frames of 20000x20000 pixels, more than the 67108864 that are read/],
    ["cut.png", /cut\.png: this PNG file is cut off/],
    ["cut.jpg", /cut\.jpg cannot be read as JPEG: /],
    ["cut.gif", /cut\.gif cannot be read as GIF: /],
    ["none.png", /none\.png: there is no such file or folder/],
  ])("refuses %s before anything is loaded", async (name, message) => {
    const words = Object.entries(option(at(name))).flatMap(([o, v]) => [
      `--${o.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`,
      v,
    ]);
    const called = await callCommandLine("generate", "a star", ...TINY, ...words, "-o", at("no.png"));
    expect([called.status, called.message]).toEqual([1, expect.stringMatching(message)]);
    expect(called.stderr).not.toMatch(/adapter|load/);
  });
});

describe("a motion file is refused before its weights are read", () => {
  it.each([
    [
      "with an encoder, without a picture",
      ["--motion", fixturePath("tiny-a-i2v")],
      /carries an image encoder.*no picture/,
    ],
    ["without an encoder, with a picture", ["--image", "turned-1.jpg"], /takes motion modules with an image encoder/],
  ])("%s", async (_, words, message) => {
    const given = words.map((w) => (w.endsWith(".jpg") ? at(w) : w));
    const called = await callCommandLine("generate", "a star", ...TINY, ...given, "-o", at("no.png"));
    expect([called.status, called.message]).toEqual([1, expect.stringMatching(message)]);
    expect(called.stderr).not.toMatch(/load/);
  });
});

describe("jobs", () => {
  it("take odd pictures by every option, beside jobs without, with one loaded model for all but --image", async () => {
    const some = ["one.png", "turned-6.jpg", "moving.gif"];
    const all = [...some, "strip.png", "deep.png", "cmyk.jpg", "palette.png", "turned-5.png"];
    const jobs = Object.entries(OPTIONS).flatMap(([name, option], i) => [
      { prompt: "a star", output: at(`out/${i}-none.png`), ...(name === "--image" && { seed: 5 }) },
      // All are read alike.
      ...(name === "--control" ? all : some).map((file) => ({
        prompt: file,
        output: at(`out/${i}-${file}.png`),
        ...option(at(file)),
      })),
    ]);
    writeFileSync(at("jobs.jsonl"), jobs.map((j) => JSON.stringify(j)).join("\n"));
    const called = await callCommandLine("generate", "--prompts", at("jobs.jsonl"), ...TINY);
    expect(called).toMatchObject({ status: 0, message: "" });
    expect(readdirSync(at("out"))).toHaveLength(jobs.length);
    expect(called.stderr.match(/^load /gm)).toHaveLength(2);
    expect(called.stderr.match(/moving\.gif has 4 frames; one picture is wanted: the first is taken/g)).toHaveLength(2);
  });
});
