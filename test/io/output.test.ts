// Writing to disk: whole or not at all, with reasons in words.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkWritable,
  frameName,
  OutputError,
  outputFormat,
  writeAtomically,
  writeClip,
} from "../../src/io/output.js";
import { decodePng } from "../../src/io/png-reader.js";
import { readRecipe } from "../../src/io/recipe.js";
import { frameOf } from "../../src/io/frames.js";
import { movingSquare } from "./clip.js";

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), "kineograph-output-"))));
afterAll(() => rmSync(dir, { recursive: true }));
const clip = movingSquare();

describe("writeAtomically", () => {
  it("replaces a file only when all is written", async () => {
    const path = join(dir, "a.bin");
    await writeAtomically(path, new Uint8Array([1]));
    async function* broken() {
      yield new Uint8Array([2]);
      expect(readdirSync(dir).some((f) => f.endsWith(".tmp"))).toBe(true);
      throw new Error("midway");
    }
    await expect(writeAtomically(path, broken())).rejects.toThrow("midway");
    expect([...readFileSync(path)]).toEqual([1]);
    await writeAtomically(path, [new Uint8Array([3]), new Uint8Array([4])]);
    expect([...readFileSync(path)]).toEqual([3, 4]);
    expect(readdirSync(dir).filter((f) => f.endsWith(".tmp"))).toEqual([]);
  });

  it("leaves nothing when aborted", async () => {
    const stop = new AbortController();
    function* data() {
      yield new Uint8Array(10);
      stop.abort(new Error("stopped"));
      yield new Uint8Array(10);
    }
    await expect(writeAtomically(join(dir, "b.bin"), data(), { signal: stop.signal })).rejects.toThrow("stopped");
    expect(readdirSync(dir)).toEqual(["a.bin"]);
  });

  it("says why it cannot", async () => {
    await expect(writeAtomically(join(dir, "none/x.png"), new Uint8Array())).rejects.toThrow(
      /none\/x.png: the folder does not exist/,
    );
    await expect(writeAtomically(join(dir, "a.bin/x.png"), new Uint8Array())).rejects.toBeInstanceOf(OutputError);
    if (existsSync("/dev/full")) {
      // Every write to this device fails as on a full disk.
      const { open } = await import("node:fs/promises");
      const full = await open("/dev/full", "w");
      await expect(full.write(new Uint8Array(1))).rejects.toThrow(/ENOSPC/);
      await full.close();
    }
  });
});

describe("checkWritable", () => {
  it("finds out before the work what would fail after it", async () => {
    await checkWritable(join(dir, "ok.png"));
    await checkWritable(`${join(dir, "new-folder")}/`);
    expect(existsSync(join(dir, "new-folder"))).toBe(true);
    await expect(checkWritable(join(dir, "missing/ok.png"))).rejects.toThrow(/create it first/);
    await expect(checkWritable(join(dir, "new-folder"))).rejects.toThrow(/it is a folder; end the path with \//);
    await expect(checkWritable(join(dir, "a.bin/x.png"))).rejects.toThrow(/a part of the path is a file/);
    if (process.getuid?.() !== 0) {
      mkdirSync(join(dir, "locked"));
      chmodSync(join(dir, "locked"), 0o500);
      await expect(checkWritable(join(dir, "locked/x.png"))).rejects.toThrow(/no permission/);
    }
  });
});

describe("writeClip", () => {
  it("chooses the format by the path", () => {
    expect(["a.png", "a.PNG", "b/a.gif", "a.webp", "a.mp4", "a.webm", "folder/"].map(outputFormat)).toEqual([
      "apng",
      "apng",
      "gif",
      "webp",
      "mp4",
      "webm",
      "frames",
    ]);
    expect(() => outputFormat("a.bmp")).toThrow(/suffix .bmp is not written; use .png/);
    expect(() => outputFormat("a")).toThrow(/no suffix/);
  });

  it("writes animated PNG and GIF with their recipe", async () => {
    for (const name of ["c.png", "c.gif"]) {
      await writeClip(join(dir, name), clip, { fps: 8, recipe: { prompt: "ü", steps: 4 } });
      expect(await readRecipe(readFileSync(join(dir, name)))).toEqual({ prompt: "ü", steps: 4 });
    }
    expect(decodePng(readFileSync(join(dir, "c.png"))).rgba).toEqual(clip.rgba);
  });

  it("writes frames into a folder and removes those of a longer clip, nothing else", async () => {
    const folder = `${join(dir, "frames")}/`;
    await writeClip(folder, movingSquare(24, 16, 6), { fps: 8 });
    writeFileSync(join(folder, "notes.txt"), "");
    await writeClip(folder, clip, { fps: 8, recipe: { prompt: "x" } });
    expect(readdirSync(folder).toSorted()).toEqual([...[0, 1, 2, 3].map(frameName), "notes.txt"]);
    const third = readFileSync(join(folder, "frame-0002.png"));
    expect(decodePng(third).rgba).toEqual(frameOf(clip, 2).rgba);
    expect(await readRecipe(third)).toEqual({ prompt: "x" });
  });

  it("leaves a folder of frames as it was, when stopped in between or where a frame finds no place", async () => {
    const folder = `${join(dir, "kept")}/`;
    await writeClip(folder, movingSquare(24, 16, 6), { fps: 8 });
    const before = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))] as const);
    const unchanged = () => {
      expect(readdirSync(folder)).toEqual(before.map(([name]) => name));
      for (const [name, bytes] of before) expect(readFileSync(join(folder, name)).equals(bytes), name).toBe(true);
    };
    const large = movingSquare(32, 32, 8);
    let looks = 0;
    const signal = {
      throwIfAborted() {
        if (++looks > 7) throw new Error("stopped");
      },
    } as AbortSignal;
    await expect(writeClip(folder, large, { fps: 8, signal })).rejects.toThrow("stopped");
    unchanged();
    mkdirSync(join(folder, "frame-0006.png"));
    await expect(writeClip(folder, large, { fps: 8 })).rejects.toThrow(/frame-0006\.png/);
    rmdirSync(join(folder, "frame-0006.png"));
    unchanged();
    await writeClip(folder, large, { fps: 8 });
    expect(readdirSync(folder)).toEqual(Array.from({ length: 8 }, (_, i) => frameName(i)));
    expect(decodePng(readFileSync(join(folder, "frame-0006.png"))).rgba).toEqual(frameOf(large, 6).rgba);
  });

  it("removes the frames of an interrupted run", async () => {
    const folder = `${join(dir, "stopped")}/`;
    const stop = AbortSignal.abort(new Error("stopped"));
    await expect(writeClip(folder, clip, { fps: 8, signal: stop })).rejects.toThrow("stopped");
    expect(readdirSync(folder)).toEqual([]);
  });
});
