// generate --prompts where something happens: a device is lost, the list is interrupted and its file edited, memory is short;
// and what each job's figures are of.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { RunArguments } from "../../src/cli/options.js";
import type { Report } from "../../src/cli/report.js";
import { SharedModel } from "../../src/cli/shared-model.js";
import { Terminal } from "../../src/cli/terminal.js";
import type { Device } from "../../src/gpu/device.js";
import { encodeGif } from "../../src/io/gif.js";
import { Denoiser } from "../../src/pipelines/denoiser.js";
import { movingSquare } from "../io/clip.js";
import { callCommandLine, type Called, tinyRun } from "../support/command-line.js";
import { fixturePath } from "../support/fixtures.js";

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-lifecycle-"));
});

const step = Reflect.get(Denoiser.prototype, "step") as Denoiser["step"];
afterEach(() => {
  Denoiser.prototype.step = step;
  rmSync(folder, { recursive: true });
});

/** `happen` while the steps of these numbers are being made, counted from 1 over all jobs. */
function duringSteps(numbers: readonly number[], happen: (device: Device) => void): void {
  let count = 0;
  Denoiser.prototype.step = function (index) {
    const check = step.call(this, index);
    if (!check.device.isDry && numbers.includes(++count)) happen(check.device);
    return check;
  };
}

const TINY = tinyRun(2, "32x24", 2);

/** `generate --prompts` on a tiny model, for files of their numbers' names. */
function start(jobs: readonly object[], ...words: readonly string[]): Promise<Called> {
  writeFileSync(at("jobs.jsonl"), jobs.map((job) => JSON.stringify(job)).join("\n"));
  return callCommandLine("generate", "--prompts", at("jobs.jsonl"), ...TINY, "-o", at("clips/{index}.png"), ...words);
}

it("loads the model once more after a device was lost, and each job may lose one", async () => {
  // The first job loses its device in step 2, which the other device makes as the third; the next job in its own second.
  duringSteps([2, 5], (device) => device.lose());
  const prompt = "a star";
  const { status, stderr } = await start([{ prompt }, { prompt }, { prompt: "a heart" }, { prompt }]);
  expect(status).toBe(0);
  expect(stderr.match(/opening it again, to go on after step 1/g)).toHaveLength(2);
  expect(stderr.match(/^load /gm)).toHaveLength(5);
  const [first, second, , fourth] = [0, 1, 2, 3].map((i) => readFileSync(at(`clips/000${i}.png`)));
  expect(second!.equals(first!)).toBe(true);
  expect(fourth!.equals(first!)).toBe(true);
});

it("goes on where it was interrupted, and begins a job anew that was edited meanwhile", async () => {
  const jobs = [{ prompt: "a star" }, { prompt: "a heart" }, { prompt: "a circle", seed: 2 }];
  const interrupt = () => void process.emit("SIGINT");
  duringSteps([4], interrupt);
  expect(await start(jobs)).toMatchObject({
    status: 130,
    message:
      "kineograph: interrupted after 1 of 3 clips and, in the next, after step 1; the same command goes on from there",
  });
  expect(readdirSync(at("clips"))).toEqual(["0000.png", "0001.png.resume"]);
  duringSteps([3], interrupt);
  const second = await start(jobs);
  expect(second.stderr).toMatch(/^resume +after step 1, from .*0001\.png\.resume$/m);
  expect(second.message).toMatch(/^kineograph: interrupted after 2 of 3 clips and, in the next, after step 1; /);
  Denoiser.prototype.step = step;
  jobs[2] = { prompt: "a circle", seed: 3 };
  const third = await start(jobs, "--json");
  const { clips } = JSON.parse(third.stdout) as { readonly clips: readonly Report[] };
  expect(clips).toMatchObject([{ output: at("clips/0002.png"), seed: 3 }]);
  expect(clips[0]!.seconds.load).toBeGreaterThan(0);
  expect(third.status).toBe(0);
  expect(third.stderr).toMatch(
    /^warning: line 3 begins anew: the state to resume is of another run: its seed was 2, now it is 3$/m,
  );
  expect(readdirSync(at("clips"))).toEqual(["0000.png", "0001.png", "0002.png"]);
});

it("says how many clips are there where it is interrupted before a job's first step", async () => {
  duringSteps([3], () => void process.emit("SIGTERM"));
  expect(await start([{ prompt: "a star" }, { prompt: "a heart" }])).toMatchObject({
    status: 143,
    message: "kineograph: terminated after 1 of 2 clips; the same command goes on",
  });
});

it("fits each job to the memory, and reports each by its own figures", async () => {
  const plan = JSON.parse((await callCommandLine("plan", ...TINY, "--json")).stdout) as { peakBytes: number };
  const tight = `${(plan.peakBytes - 1) / 1e6}MB`;
  const { status, stdout, stderr } = await start(
    [
      { prompt: "a large star", size: "64x64", frames: 6 },
      { prompt: "a small star" },
      { prompt: "nowhere", memory: "0.1MB" },
      { prompt: "a tight star", memory: tight },
    ],
    "--json",
  );
  expect(status).toBe(1);
  const { clips, failed } = JSON.parse(stdout) as {
    readonly clips: readonly (Report & { readonly index: number })[];
    readonly failed: readonly object[];
  };
  expect(failed).toEqual([
    { index: 2, line: 3, error: expect.stringMatching(/^this run takes at least .* --memory allows; fewer/) as string },
  ]);
  expect(clips.map((c) => c.index)).toEqual([0, 1, 3]);
  expect(stderr).toMatch(/^memory +--low-memory, so that it fits$/m);
  const [large, small, low] = clips;
  expect([large!, low!].every((c) => c.seconds.load > 0)).toBe(true);
  expect(small!.seconds.load).toBe(0);
  expect(small!.memory.peakBytes).toBeLessThan(0.9 * large!.memory.peakBytes);
  expect(low!.memory.peakBytes).toBeLessThan(small!.memory.peakBytes);
  expect(stderr.match(/^load /gm)).toHaveLength(2);
});

it("leaves a folder of frames that is there, also of a clip shorter than others", async () => {
  writeFileSync(at("clip.gif"), encodeGif(movingSquare(16, 16, 3), { fps: 8 }));
  const jobs = [{ prompt: "a star", initVideo: at("clip.gif"), size: "16x16", output: at("frames/") }];
  writeFileSync(at("jobs.jsonl"), JSON.stringify(jobs[0]));
  const words = ["generate", "--prompts", at("jobs.jsonl"), "--model", fixturePath("tiny-a"), "--precision", "f32"];
  expect((await callCommandLine(...words)).status).toBe(0);
  expect(readdirSync(at("frames"))).toHaveLength(3);
  const second = await callCommandLine(...words);
  expect([second.status, second.stderr]).toEqual([0, "skipped   1 that are there already\n"]);
  rmSync(at("frames/frame-0002.png"));
  expect((await callCommandLine(...words)).stdout).toBe(`${at("frames/")}\n`);
  expect(existsSync(at("frames/frame-0002.png"))).toBe(true);
});

it("chooses kernels for each job, whatever the state that another went on from was made with", async () => {
  using model = new SharedModel(undefined, new Terminal({ quiet: true }));
  const run: RunArguments = { model: fixturePath("tiny-a"), precision: "f32", fps: 8 };
  const { signal } = new AbortController();
  const { session, loadSeconds } = await model.session(run, signal, false);
  expect(loadSeconds).toBeGreaterThan(0);
  const { choices } = session.device.tuning;
  session.device.tuning.adopt({ "a kind of layer": "by another kernel" });
  expect(await model.session({ ...run, seed: 3 }, signal, false)).toEqual({ session, loadSeconds: 0 });
  expect(session.device.tuning.choices).toEqual(choices);
});
