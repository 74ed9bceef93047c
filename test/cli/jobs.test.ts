// kineograph generate --prompts on a tiny model: jobs with options of their own, failures, second starts and shards.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readJobs, shardOf } from "../../src/cli/options-jobs.js";
import { encodePng } from "../../src/io/png.js";
import { decodePng } from "../../src/io/png-reader.js";
import { readRecipe } from "../../src/io/recipe.js";
import { callCommandLine, tinyRun } from "../support/command-line.js";

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-jobs-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const TINY = tinyRun(2, "32x24", 1);
const write = (...lines: readonly (string | object)[]): string => {
  writeFileSync(at("jobs.jsonl"), lines.map((l) => (typeof l === "string" ? l : JSON.stringify(l))).join("\n"));
  return at("jobs.jsonl");
};

describe("many clips", () => {
  it("are made by one loaded model; what fails is told, what is there is left", async () => {
    const jobs = write(
      { prompt: "a star", seed: 3 },
      { prompt: "too long", frames: 99 },
      { prompt: "a circle", output: at("clips/own.gif"), frames: 3, size: "24x32" },
      "a heart",
    );
    const words = [
      "generate",
      "--prompts",
      jobs,
      ...TINY,
      "--seed",
      "7",
      "-o",
      at("clips/{index}-{seed}-{prompt}.png"),
    ];
    const first = await callCommandLine(...words, "--json");
    expect(first.status).toBe(1);
    expect(first.message).toMatch(/1 of 4 jobs failed: line 2 of .*jobs\.jsonl; the others are done/);
    expect(first.stderr).toMatch(/line 2 failed: 99 frames are more than the 32 positions/);
    expect(first.stderr.match(/^load /gm)).toHaveLength(1);
    expect(readdirSync(at("clips")).toSorted()).toEqual(["0000-3-a-star.png", "0003-7-a-heart.png", "own.gif"]);
    const report = JSON.parse(first.stdout) as Record<"clips" | "failed", { index: number; frames?: number }[]>;
    expect(report.clips.map((c) => [c.index, c.frames])).toEqual([
      [0, 2],
      [2, 3],
      [3, 2],
    ]);
    expect(report.failed).toEqual([{ index: 1, line: 2, error: expect.stringMatching(/^99 frames/) as string }]);

    const star = new Uint8Array(readFileSync(at("clips/0000-3-a-star.png")));
    expect(await readRecipe(star)).toMatchObject({ prompt: "a star", seed: 3, frames: 2 });
    const alone = await callCommandLine("generate", "a star", ...TINY, "--seed", "3", "-q", "-o", at("alone.png"));
    expect(alone.status).toBe(0);
    const [a, b] = [decodePng(star), decodePng(new Uint8Array(readFileSync(at("alone.png"))))];
    expect(Buffer.compare(a.rgba, b.rgba)).toBe(0);

    const second = await callCommandLine(...words);
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(/skipped {3}3 that are there already/);
    expect(second.stdout).toBe("");
  });

  it("take regions and masks, of a model loaded once, and say so in their recipes", async () => {
    writeFileSync(
      at("mask.png"),
      await encodePng({ width: 2, height: 1, rgba: new Uint8Array([0, 0, 0, 255, 255, 255, 255, 255]) }),
    );
    const [left, right] = ["0,0,.5,1:the night", `${at("mask.png")}:a blue star`];
    const jobs = write({ prompt: "a star", region: [left, right], regionBase: 0.1 }, { prompt: "a star" });
    const words = [...TINY, "-o", at("regions/{index}.png")];
    const r = await callCommandLine("generate", "--prompts", jobs, ...words);
    expect([r.status, r.stderr.match(/^load /gm)]).toEqual([0, ["load "]]);
    const [first, second] = [0, 1].map((i) => new Uint8Array(readFileSync(at(`regions/000${i}.png`))));
    expect(await readRecipe(first!)).toMatchObject({ region: [left, right], regionBase: 0.1 });
    expect(Buffer.compare(decodePng(first!).rgba, decodePng(second!).rgba)).not.toBe(0);
    const plan = await callCommandLine("plan", ...TINY, "--region", left!, "--region", right!, "--json");
    const { stages } = JSON.parse(plan.stdout) as { stages: { name: string }[] };
    expect(stages.map((s) => s.name)).toEqual(["load", "text", "control", "denoise", "decode"]);
    const wrong = await callCommandLine("plan", ...TINY, "--region", "8,8,32,8:x");
    expect([wrong.status, wrong.message]).toEqual([
      2,
      expect.stringMatching(/--region 8,8,32,8:x lies at 8,8,32,8.*beyond the picture, which goes from 0,0 to 32,24/),
    ]);
  });

  it("refuses lines that cannot work before anything is loaded", async () => {
    const refusal = async (...lines: readonly (string | object)[]) => {
      const r = await callCommandLine("generate", "--prompts", write(...lines), "-o", at("x/{index}.png"));
      expect(r.status).toBe(2);
      return r.message;
    };
    expect(await refusal("ok", { prompt: "a", steps: 0 })).toMatch(/line 2: .*--steps.*whole number from 1 to 1000/);
    expect(await refusal({ prompt: "a", colour: "red" })).toMatch(/line 1: unknown option '--colour/);
    expect(await refusal({ prompt: "a", "init-video": "x" })).toMatch(/"init-video" is no option; .* like "initVideo"/);
    expect(await refusal({ prompt: "a", size: { w: 1 } })).toMatch(/"size" is \{"w":1\}, expected a text/);
    expect(await refusal({ prompt: "a", json: true })).toMatch(/"json" belongs to the command/);
    expect(await refusal({ prompt: "a", output: "b.png" }, { prompt: "c", output: "b.png" })).toMatch(
      /lines 1 and 2 would both write b\.png; put \{index\} into its name/,
    );
    const both = await callCommandLine("generate", "a", "--prompts", at("jobs.jsonl"));
    expect([both.status, both.message]).toEqual([
      2,
      expect.stringMatching(/a prompt, or --prompts <file>; one of them/),
    ]);
    expect((await callCommandLine("generate")).status).toBe(2);
    expect((await callCommandLine("generate", "a", "--shard", "1/2")).message).toMatch(/no effect without/);
  });

  it("take lists, switches and places by name", async () => {
    const path = write({
      prompt: "Ein *Stern*, 1!",
      lora: ["a:0.5", "b"],
      noLora: true,
      plainPrompt: true,
      negative: null,
    });
    const [job] = await readJobs(path, { fps: 8, seed: 2, output: "o/{prompt}/", lora: [{ path: "c", weight: 1 }] });
    expect(job).toMatchObject({
      output: "o/ein-stern-1/",
      run: {
        fps: 8,
        seed: 2,
        bundledLora: false,
        plainPrompt: true,
        lora: [
          { path: "a", weight: 0.5 },
          { path: "b", weight: 1 },
        ],
      },
    });
    expect(job!.run).not.toHaveProperty("negative");
  });
});

describe("shards", () => {
  it.each([
    ["3/8", {}, { index: 2, count: 8, source: "--shard" }],
    ["3/8", { SLURM_ARRAY_TASK_ID: "5" }, { index: 2, count: 8, source: "--shard" }],
    [undefined, {}, undefined],
    [
      undefined,
      { SLURM_ARRAY_TASK_ID: "5", SLURM_ARRAY_TASK_MIN: "1", SLURM_ARRAY_TASK_STEP: "2", SLURM_ARRAY_TASK_COUNT: "4" },
      { index: 2, count: 4, source: "SLURM_ARRAY_TASK_ID" },
    ],
    ["auto/8", { JOB_COMPLETION_INDEX: "7" }, { index: 7, count: 8, source: "JOB_COMPLETION_INDEX" }],
  ])("%s with %j", (text, env, shard) => {
    expect(shardOf(text, env)).toEqual(shard);
  });

  it.each([
    ["0/8", {}, /i is from 1 to 8/],
    ["9/8", {}, /i is from 1 to 8/],
    ["3", {}, /expected <i>\/<n>/],
    ["1/0", {}, /expected <i>\/<n>/],
    ["auto/8", {}, /neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set/],
    [undefined, { JOB_COMPLETION_INDEX: "1" }, /add --shard auto\/<completions>/],
    [undefined, { SLURM_ARRAY_TASK_ID: "1" }, /SLURM_ARRAY_TASK_ID gives shard 2 of NaN/],
    ["auto/4", { JOB_COMPLETION_INDEX: "4" }, /gives shard 5 of 4, which is none/],
  ])("%s with %j is refused", (text, env, message) => {
    expect(() => shardOf(text, env)).toThrow(message);
  });
});
