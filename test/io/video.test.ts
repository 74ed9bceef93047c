// Reading clips: every kind of file to the same frames, times kept, and what does not work refused in one sentence.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodeApng } from "../../src/io/apng.js";
import { frameOf, type Clip } from "../../src/io/frames.js";
import { encodeGif } from "../../src/io/gif.js";
import { writeClip } from "../../src/io/output.js";
import { crc32, encodePng } from "../../src/io/png.js";
import { clipSource, sampleVideo } from "../../src/io/video.js";
import { openVideo, readVideo } from "../../src/io/video-file.js";
import { movingSquare } from "./clip.js";

const ffmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const clip = movingSquare();
let dir: string;
const at = (name: string) => join(dir, name);
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kineograph-video-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** `clip` as one column of frames, as sharp takes and gives animations. */
function column({ width, height, count, rgba }: Clip) {
  return sharp(rgba, { raw: { width, height: height * count, channels: 4, pageHeight: height } });
}

/** Which frame of `of` each frame of `clip` is. */
function order(sampled: Clip, of: Clip): number[] {
  return Array.from({ length: sampled.count }, (_, i) => {
    const { rgba } = frameOf(sampled, i);
    const distance = (j: number) => frameOf(of, j).rgba.reduce((sum, v, p) => sum + Math.abs(v - rgba[p]!), 0);
    const all = Array.from({ length: of.count }, (_unused, j) => distance(j));
    return all.indexOf(Math.min(...all));
  });
}

describe("every kind of file", () => {
  it("PNG, APNG, GIF, WebP and folders give the frames that were written, with their times", async () => {
    writeFileSync(at("a.png"), await encodeApng(clip, { fps: 8 }));
    writeFileSync(at("a.gif"), encodeGif(clip, { fps: 8 }));
    writeFileSync(
      at("a.webp"),
      await column(clip)
        .webp({ lossless: true, delay: [125, 125, 125, 125] })
        .toBuffer(),
    );
    await writeClip(at("folder/"), clip, { fps: 8 });
    for (const name of ["a.png", "a.gif", "a.webp", "folder"]) {
      const { info } = await openVideo(at(name));
      expect(info).toMatchObject({ width: 24, height: 16, count: 4 });
      expect(info.seconds, name).toBe(name === "folder" ? undefined : 0.5);
      const read = await readVideo(at(name), { fps: 8 });
      expect(read).toMatchObject({ width: 24, height: 16, count: 4, available: 4 });
      if (name === "a.gif") expect(order(read, clip)).toEqual([0, 1, 2, 3]);
      else expect(Buffer.compare(read.rgba, clip.rgba), name).toBe(0);
    }
  });

  it("turns a JPEG by its EXIF orientation and reads CMYK and 16 bits", async () => {
    const side = sharp(frameOf(clip, 0).rgba, { raw: { width: 24, height: 16, channels: 4 } }).removeAlpha();
    await side.clone().withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toFile(at("turned.jpg"));
    expect(await readVideo(at("turned.jpg"), { fps: 8 })).toMatchObject({ width: 16, height: 24, count: 1 });
    await side.clone().toColourspace("cmyk").jpeg().toFile(at("cmyk.jpg"));
    const samples = Uint16Array.from(frameOf(clip, 0).rgba, (v) => v * 257);
    const deeper = sharp(samples, { raw: { width: 24, height: 16, channels: 4 } });
    await deeper.toColourspace("rgb16").tiff({ compression: "lzw" }).toFile(at("deep.tif"));
    const cmyk = await readVideo(at("cmyk.jpg"), { fps: 8 });
    const off = cmyk.rgba.reduce((sum, v, i) => sum + Math.abs(v - frameOf(clip, 0).rgba[i]!), 0) / cmyk.rgba.length;
    expect(off).toBeLessThan(20); // its colours are those of inks
    const deep = await readVideo(at("deep.tif"), { fps: 8 });
    expect(Buffer.compare(deep.rgba, frameOf(clip, 0).rgba)).toBe(0);
    const grey = encode({ width: 2, height: 1, data: new Uint16Array([65535, 257]), channels: 1, depth: 16 });
    writeFileSync(at("grey.png"), grey);
    expect([...(await readVideo(at("grey.png"), { fps: 8 })).rgba]).toEqual([255, 255, 255, 255, 1, 1, 1, 255]);
  });

  it("lays transparency on black", async () => {
    const data = new Uint8Array([200, 100, 50, 128, 200, 100, 50, 0]);
    writeFileSync(at("alpha.png"), encode({ width: 2, height: 1, data, channels: 4, depth: 8 }));
    expect([...(await readVideo(at("alpha.png"), { fps: 8 })).rgba]).toEqual([100, 50, 25, 255, 0, 0, 0, 255]);
  });

  it.skipIf(!ffmpeg)("videos by ffmpeg, also with varying frame rates and rotation", async () => {
    const big = movingSquare(48, 32, 12);
    const raw = (args: string[], file: string) =>
      execFileSync(
        "ffmpeg",
        [
          "-v",
          "error",
          "-f",
          "rawvideo",
          "-pix_fmt",
          "rgba",
          "-s",
          "48x32",
          "-r",
          "24",
          "-i",
          "pipe:0",
          ...args,
          at(file),
        ],
        { input: big.rgba, stdio: ["pipe", "ignore", "inherit"] },
      );
    raw(["-c:v", "ffv1", "-pix_fmt", "bgr0"], "exact.mkv");
    const exact = await readVideo(at("exact.mkv"), { fps: 24, frames: 12 });
    expect(Buffer.compare(exact.rgba, big.rgba)).toBe(0);
    // 8 of 24 frames a second: the second of each three shows in the middle.
    const third = await readVideo(at("exact.mkv"), { fps: 8 });
    expect(order(third, big)).toEqual([1, 4, 7, 10]);
    expect(third.notes).toEqual([expect.stringMatching(/has 4 frames at 8 frames a second: the clip gets as many/)]);
    // Frames 0 to 5 show for 1/24 s, the others for 1/6 s.
    raw(
      ["-vf", "setpts='if(lt(N,6),N,6+(N-6)*4)/24/TB'", "-fps_mode", "vfr", "-c:v", "ffv1", "-pix_fmt", "bgr0"],
      "vfr.mkv",
    );
    const varying = await readVideo(at("vfr.mkv"), { fps: 24, frames: 14 });
    expect(order(varying, big)).toEqual([0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7, 7, 7, 7]);
    raw(["-c:v", "mpeg4", "-q:v", "2"], "straight.mp4");
    execFileSync("ffmpeg", [
      "-v",
      "error",
      "-i",
      at("straight.mp4"),
      "-metadata:s:v",
      "rotate=90",
      "-c",
      "copy",
      at("turned.mp4"),
    ]);
    const { info } = await openVideo(at("turned.mp4"));
    const turned = await readVideo(at("turned.mp4"), { fps: 24, frames: 2 });
    expect([info.width, info.height, turned.width, turned.height]).toEqual([32, 48, 32, 48]);
  });
});

describe("sampling", () => {
  it("takes frames by their middle, spreads too few, and says what it did", async () => {
    const eight = movingSquare(32, 16, 8);
    const sample = async (source: { fps?: number }, options: { fps: number; frames?: number }) => {
      const s = await sampleVideo(clipSource(eight, source), options);
      return { order: order(s, eight), notes: s.notes, available: s.available };
    };
    expect((await sample({}, { fps: 8, frames: 4 })).order).toEqual([0, 1, 2, 3]);
    expect((await sample({ fps: 16 }, { fps: 8, frames: 4 })).order).toEqual([0, 2, 4, 6]);
    expect((await sample({ fps: 4 }, { fps: 8, frames: 6 })).order).toEqual([0, 0, 1, 1, 2, 2]);
    const spread = await sample({}, { fps: 8, frames: 16 });
    expect(spread.order).toEqual(Array.from({ length: 16 }, (_, i) => i >> 1));
    expect(spread.notes).toEqual(["the video has 8 frames, 16 are asked for: they are spread evenly over them"]);
    const all = await sample({}, { fps: 8 });
    expect([all.order.length, all.notes]).toEqual([8, ["the video has 8 frames: the clip gets as many"]]);
    const blink = await sample({ fps: 1000 }, { fps: 1, frames: 2 });
    expect(blink).toMatchObject({ order: [0, 0], available: 1 });
  });

  it("repeats a still picture", async () => {
    writeFileSync(at("still.png"), await encodePng(frameOf(clip, 2)));
    const s = await readVideo(at("still.png"), { fps: 8, frames: 3 });
    expect(order(s, clip)).toEqual([2, 2, 2]);
    expect(s.notes[0]).toMatch(/still\.png has one frame, 3 are asked for: it is repeated/);
  });

  it("scales to cover the size wanted, around the middle", async () => {
    const s = await sampleVideo(clipSource(clip), { fps: 8, frames: 2, width: 8, height: 8 });
    expect(s).toMatchObject({ width: 8, height: 8, count: 2 });
    expect(s.rgba.length).toBe(2 * 8 * 8 * 4);
  });
});

describe("refuses", () => {
  it.each([
    ["missing.gif", "there is no such file or folder"],
    ["empty.mp4", "is empty"],
    ["nothing", "has no frames: no file in it ends in"],
    ["uneven", /2\.png has 12x8 pixels, but 1\.png has 24x16; the frames of a folder have one size/],
    ["cut.png", /cut\.png: this PNG file is cut off/],
    ["broken.gif", /broken\.gif cannot be read as GIF: /],
    ["huge.png", /frames of 1048576x16 pixels|1048576x1048576 pixels, more than the 67108864 that are read/],
  ])("%s", async (name, message) => {
    mkdirSync(at("nothing"), { recursive: true });
    mkdirSync(at("uneven"), { recursive: true });
    writeFileSync(at("empty.mp4"), "");
    writeFileSync(at("uneven/1.png"), await encodePng(frameOf(clip, 0)));
    writeFileSync(at("uneven/2.png"), await encodePng(frameOf(movingSquare(12, 8), 0)));
    const png = await encodeApng(clip, { fps: 8 });
    writeFileSync(at("cut.png"), png.subarray(0, 300));
    writeFileSync(at("broken.gif"), encodeGif(clip, { fps: 8 }).subarray(0, 20));
    const huge = png.slice();
    const view = new DataView(huge.buffer);
    for (const side of [16, 20]) view.setUint32(side, 2 ** 20);
    view.setUint32(29, crc32(huge.subarray(12, 29)));
    writeFileSync(at("huge.png"), huge);
    await expect(readVideo(at(name), { fps: 8 })).rejects.toThrow(message);
  });

  it("a long clip by its header", async () => {
    const long = clipSource({ ...movingSquare(4, 4, 1), width: 4096, height: 4096 });
    await expect(sampleVideo(long, { fps: 8, frames: 64 })).rejects.toThrow(
      "the video: 64 frames of 4096x4096 pixels are 4.0 GiB, more than the 1 GiB that is read; ask for fewer frames or a smaller size",
    );
  });

  it.skipIf(!ffmpeg)("what is no video", async () => {
    writeFileSync(at("text.mp4"), "no video at all, really");
    await expect(openVideo(at("text.mp4"))).rejects.toThrow(/text\.mp4 is no picture or video that can be read here: /);
  });

  it("videos without ffmpeg, in one sentence", async () => {
    writeFileSync(at("v.mp4"), "\0\0\0\x18ftypmp42");
    const path = process.env["PATH"];
    process.env["PATH"] = dir;
    try {
      await expect(openVideo(at("v.mp4"))).rejects.toThrow(
        /v\.mp4 takes ffprobe, which comes with ffmpeg, on PATH, and it is not there; install ffmpeg/,
      );
    } finally {
      process.env["PATH"] = path;
    }
  });
});
