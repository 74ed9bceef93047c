// --init-video with --resume: a run that was interrupted goes on from its state to the same latents.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { encodeGif } from "../../src/io/gif.js";
import { callCommandLine } from "../support/command-line.js";
import { fixturePath } from "../support/fixtures.js";
import { movingSquare } from "../io/clip.js";

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-init-video-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("goes on after an interruption to the same latents, with FreeInit", async () => {
  writeFileSync(at("clip.gif"), encodeGif(movingSquare(16, 16, 3), { fps: 8 }));
  const model = ["--model", fixturePath("tiny-a"), "--size", "16x16", "--precision", "f32", "-q"];
  const run = ["--init-video", at("clip.gif"), "--scheduler", "ddim", "--steps", "14", "--free-init", "2"];
  const words = ["generate", "a star", ...model, ...run];
  const first = callCommandLine(...words, "-o", at("a.png"), "--preview", at("preview.png"));
  await vi.waitUntil(() => existsSync(at("preview.png")), { timeout: 60_000, interval: 5 });
  process.emit("SIGINT");
  expect((await first).status).toBe(130);
  expect(existsSync(at("a.png"))).toBe(false);
  const again = await callCommandLine(
    ...words,
    "-o",
    at("a.png"),
    "--latents-out",
    at("a.safetensors"),
    "--resume",
    at("a.png.resume"),
  );
  expect(again).toMatchObject({ status: 0, message: "" });
  const whole = await callCommandLine(...words, "-o", at("b.png"), "--latents-out", at("b.safetensors"));
  expect(whole).toMatchObject({ status: 0, message: "" });
  expect(readFileSync(at("a.safetensors")).equals(readFileSync(at("b.safetensors")))).toBe(true);
});
