// WebP by sharp, MP4 and WebM by ffmpeg: written, read again, recipe inside, nothing left behind.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkWriter, OutputError, writeClip } from "../../src/io/output.js";
import { readRecipe, type Recipe } from "../../src/io/recipe.js";
import { readRecipeFile } from "../../src/io/recipe-file.js";
import { openVideo, readVideo } from "../../src/io/video-file.js";
import { webpTexts, xmpPacket } from "../../src/io/webp.js";
import type { Clip } from "../../src/io/frames.js";

const ffmpeg = spawnSync("ffmpeg", ["-version"]).status === 0;
const recipe: Recipe = { prompt: `ü "quoted" <&'> \n日本; a=b\\`, steps: 4, lora: ["a:1", "b:0.5"] };
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kineograph-formats-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

/** A soft moving gradient, which lossy formats keep. */
function soft(width = 64, height = 48, count = 5): Clip {
  const rgba = new Uint8Array(width * height * count * 4);
  for (let f = 0, at = 0; f < count; f++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, at += 4)
        rgba.set([128 + 100 * Math.sin(x / 20 + f / 3), 60 + y * 3, 200 - 2 * x, 255], at);
  return { width, height, count, rgba };
}

function psnr(a: Uint8Array, b: Uint8Array): number {
  return 10 * Math.log10(255 ** 2 / (a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0) / a.length));
}

const clip = soft();

describe.each(["a.webp", ...(ffmpeg ? ["a.mp4", "a.webm"] : [])])("%s", (name) => {
  it("keeps pictures, times and recipe", async () => {
    const path = join(dir, name);
    await writeClip(path, clip, { fps: 12.5, recipe });
    const { info } = await openVideo(path);
    expect(info.seconds).toBeCloseTo(0.4, 2);
    const read = await readVideo(path, { fps: 12.5 });
    expect(read).toMatchObject({ width: 64, height: 48, count: 5 });
    expect(psnr(read.rgba, clip.rgba)).toBeGreaterThan(33); // colours have half the resolution
    expect(await readRecipeFile(path)).toEqual(recipe);
  });

  it("leaves nothing behind when stopped", async () => {
    const path = join(dir, `stopped-${name}`);
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(writeClip(path, clip, { fps: 8, signal })).rejects.toThrow("stopped");
    expect(readdirSync(dir).filter((f) => f.includes("stopped"))).toEqual([]);
  });

  it("writes a single frame", async () => {
    const path = join(dir, `one-${name}`);
    await writeClip(path, soft(16, 16, 1), { fps: 8 });
    expect(await readVideo(path, { fps: 8 })).toMatchObject({ width: 16, height: 16, count: 1 });
    await expect(readRecipeFile(path)).rejects.toThrow(/carries no recipe/);
  });
});

describe("WebP", () => {
  it("keeps its texts where a reader of XMP finds them, whatever quotes it uses", async () => {
    await writeClip(join(dir, "x.webp"), clip, { fps: 8, recipe });
    const bytes = new Uint8Array(readFileSync(join(dir, "x.webp")));
    expect(await readRecipe(bytes)).toEqual(recipe);
    expect(() => webpTexts(bytes.subarray(0, bytes.length - 40))).not.toThrow(/undefined/);
    expect(xmpPacket({ kineograph: `"'&` })).toContain(`k:kineograph="&#34;&#39;&#38;"`);
    expect(() => xmpPacket({ "no good": "" })).toThrow(/is no keyword/);
  });
});

describe("what is missing is said in one sentence", () => {
  it("ffmpeg, before and while writing", async () => {
    const path = process.env["PATH"];
    process.env["PATH"] = dir;
    try {
      const want = /writing .*b\.mp4 takes ffmpeg on PATH, and it is not there; install ffmpeg/;
      await expect(checkWriter(join(dir, "b.mp4"))).rejects.toThrow(want);
      await expect(checkWriter(join(dir, "b.mp4"))).rejects.toBeInstanceOf(OutputError);
      await expect(writeClip(join(dir, "b.mp4"), clip, { fps: 8 })).rejects.toThrow(/takes ffmpeg on PATH/);
      await checkWriter(join(dir, "b.webp"));
    } finally {
      process.env["PATH"] = path;
    }
  });

  it.skipIf(process.platform === "win32")("an encoder, before and while writing", async () => {
    const path = process.env["PATH"];
    const bin = mkdtempSync(join(dir, "bin-"));
    // As a build without libx264 does: the reason, and an end before anything is read.
    writeFileSync(
      join(bin, "ffmpeg"),
      `#!/bin/sh\ncase "$*" in *-h*encoder=libx264*) exit 0;; esac\necho "Unknown encoder 'libx264'" >&2\necho "Encoder not found" >&2\nexit 8\n`,
      { mode: 0o755 },
    );
    process.env["PATH"] = `${bin}:${path}`;
    try {
      await expect(checkWriter(join(dir, "e.mp4"))).rejects.toThrow(
        /e\.mp4 takes ffmpeg with libx264, .*; install one that has it, or use \.png or \.webp/,
      );
      // Larger than a pipe holds: the rest is written to one that broke.
      await expect(writeClip(join(dir, "e.mp4"), soft(512, 512, 4), { fps: 8 })).rejects.toThrow(
        "ffmpeg cannot write .mp4: Unknown encoder 'libx264'",
      );
      expect(readdirSync(dir).filter((f) => f.includes("e.mp4"))).toEqual([]);
    } finally {
      process.env["PATH"] = path;
    }
  });

  it.skipIf(!ffmpeg)("finds the encoders that are there", async () => {
    await checkWriter(join(dir, "f.mp4"));
    await checkWriter(join(dir, "f.webm"));
  });

  it.skipIf(!ffmpeg)("odd sizes", async () => {
    await expect(writeClip(join(dir, "odd.mp4"), soft(15, 16), { fps: 8 })).rejects.toThrow(
      /takes even sizes, and the clip has 15x16/,
    );
  });
});
