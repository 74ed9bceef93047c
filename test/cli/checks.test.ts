// Calls that cannot work, seen without a model: they end before an adapter is looked for, as wrong calls, in the words of the
// options.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkRun } from "../../src/cli/checks.js";
import { writeClip } from "../../src/io/output.js";
import { callCommandLine } from "../support/command-line.js";
import { fixturePath } from "../support/fixtures.js";

let folder: string;
const at = (name: string) => join(folder, name);
const NET = fixturePath("tiny-a-controlnet");
const MODEL = `--model ${fixturePath("tiny-a")}`;
const ENCODER = fixturePath("tiny-a-ip-encoder");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-checks-"));
  const rgba = new Uint8Array(3 * 16 * 16 * 4).fill(255);
  await writeClip(at("three.png"), { width: 16, height: 16, count: 3, rgba }, { fps: 8 });
});
afterAll(() => rmSync(folder, { recursive: true }));

const CALLS: readonly (readonly [words: string, status: number, message: RegExp])[] = [
  ["--context 8", 2, /--context has no effect without windows .* with --long free-noise or window$/],
  ["--context-schedule looped", 2, /--context-schedule has no effect without windows/],
  ["--long free-noise --context-schedule looped", 2, /--context-schedule has no effect .*, or use --long window$/],
  ["--long window --frames 8", 2, /--context is 16, more than the clip's 8 frames; .* leave out --long to take/],
  ["--long window --frames 32 --stride 20", 2, /--stride is 20, expected a whole number from 1 to the context, 16/],
  ["--free-init-filter gaussian", 2, /--free-init-filter has no effect .* set --free-init to 2 or more/],
  ["--prompt-at 16:b", 2, /--prompt-at: there is a prompt at frame 16, expected a frame from 1 to 15/],
  ["--scheduler ddim --original-steps 10", 2, /--original-steps is LCM's .* on the scheduler "ddim"; leave it out/],
  ["--original-steps 10 --steps 12", 2, /steps 12 is above LCM's training grid of 10; use --original-steps 12 or more/],
  [
    "--init-video three.png --strength 0.1",
    2,
    /--strength 0.1 of 4 steps .* at least 10 steps, or add --enforce-steps$/,
  ],
  ["--emphasis mean --plain-prompt", 2, /--emphasis .* has no effect with --plain-prompt/],
  ["--size 64x64 --region 0,60,8,8:x", 2, /--region 0,60,8,8:x lies at .* beyond the picture, .* to 64,64 in pixels/],
  ["--control NET=three.png@canny=1,2,3", 2, /"@canny=1,2,3": canny takes up to 2 numbers of 0 or more, got 1, 2, 3/],
  ["--control NET=three.png@canny=1,", 2, /canny takes up to 2 numbers of 0 or more, got 1, NaN/],
  ["--control NET=three.png@tile=0.5", 2, /tile takes how many pixels become one, at least 1, got 0\.5/],
  ["--control NET=three.png@softedge=1", 2, /softedge takes no numbers, got 1/],
  ["--control NET=three.png:1:0.5-0.5", 2, /from 0\.5 to 0\.5 of the steps; expected shares with 0 ≤ start < end ≤ 1/],
  ["--control NET=three.png,three.png", 2, /several files stand for chosen frames; name those, like @0,15/],
  ["--control NET=three.png,three.png@0,1,2", 2, /2 files for 3 frames; name a frame for each of them/],
  ["--control NET=three.png@0,16", 2, /frame 16 cannot be given, expected different whole numbers from 0 to 15/],
  ["--control NET=three.png@3,3", 2, /frame 3 cannot be given/],
  ["--control NET=three.png@0,1,2,3", 2, /three\.png has 3 pictures, but 4 frames are named/],
  ["--ip-adapter a --ip-encoder b --ip-image c --ip-scale 1:0.9-0.2", 2, /from 0\.9 to 0\.2 of the steps/],
  ["--control m=three.png", 1, /--control m: there is no such file or folder; short names are/],
  ["--ip-adapter nope.bin --ip-encoder ENCODER --ip-image three.png", 1, /--ip-adapter nope\.bin: there is no such/],
  [
    "--ip-adapter three.png --ip-encoder three.png --ip-image three.png",
    1,
    /--ip-encoder .*: it is a file, expected a/,
  ],
  ["--lora ENCODER", 1, /--lora .*: it is a folder, expected a file/],
  ["--vae nope/", 1, /--vae nope\/: there is no such file or folder/],
];

describe.each(["generate", "plan"])("kineograph %s", (verb) => {
  it.each(CALLS)("%s", async (words, status, message) => {
    const full = `${MODEL} ${words}`
      .replaceAll("three.png", at("three.png"))
      .replaceAll("NET", NET)
      .replaceAll("ENCODER", ENCODER);
    const r = await callCommandLine(verb, "a star", ...full.split(" "), "-o", at("a.png"));
    expect(r.message).toMatch(message);
    expect(r.status).toBe(status);
    expect(r.stderr).not.toMatch(/adapter {3}/);
  });
});

it("takes an animation's pictures for the frames that are named, however long each shows", async () => {
  const control = `${fixturePath("tiny-a-sparse")}=${at("three.png")}@0,2,3`;
  const words = [...MODEL.split(" "), "--frames", "4", "--size", "32x24", "--precision", "f32", "--control", control];
  expect(await callCommandLine("plan", ...words, "--json")).toMatchObject({ status: 0, message: "" });
});

it("lets pass what only a model can refuse", () => {
  checkRun({
    fps: 8,
    frames: 999,
    steps: 60,
    region: [{ area: [0, 0, 64, 64], prompt: "x", text: "x" }],
    model: "sd15",
  });
  checkRun({ fps: 8, model: "hf:owner/name", scheduler: "ddim", guidance: 3 });
});

it("knows the bundled model's size", () => {
  const region = (text: string, area: readonly [number, number, number, number]) => [{ area, prompt: "x", text }];
  expect(() => checkRun({ fps: 8, region: region("0,0,600,8:x", [0, 0, 600, 8]) })).toThrow(
    /^--region 0,0,600,8:x lies at .* beyond the picture, which goes from 0,0 to 128,128 in pixels$/,
  );
});
