// kineograph compare on a tiny model: pictures, table, and what it refuses.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scoreOf, wantedOf } from "../../src/cli/shapes/caption.js";
import type { Finding } from "../../src/cli/shapes/checker.js";
import { decodePng } from "../../src/io/png-reader.js";
import { callCommandLine } from "../support/command-line.js";
import { fixturePath } from "../support/fixtures.js";

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-compare-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const TINY = ["--model", fixturePath("tiny-a"), "--frames", "2", "--size", "32x24", "--precision", "f32", "-q"];

describe("kineograph compare", () => {
  it("puts every prompt by every sampler into one animation, one sheet and one table", async () => {
    writeFileSync(at("p.jsonl"), '{"prompt": "a star", "seed": 3}\n\na circle\n{"prompt": "left out"}\n');
    const words = ["compare", "--prompts", at("p.jsonl"), "--limit", "2", "--schedulers", "ddim,lcm", "--steps", "1"];
    const r = await callCommandLine(...words, ...TINY, "--show", "1", "-o", at("c.png"), "--json");
    expect(r).toMatchObject({ status: 0, message: "" });
    const report = JSON.parse(r.stdout) as { rows: Record<string, unknown>[] };
    expect(report).toMatchObject({ output: at("c.png"), sheet: at("c-sheet.png"), prompts: 2 });
    expect(report.rows.map((x) => [x["scheduler"], x["steps"], x["guidance"], x["evaluations"], x["calls"]])).toEqual([
      ["ddim", 1, 7.5, 1, 2],
      ["lcm", 1, 1, 1, 1],
    ]);
    expect(report.rows[0]).not.toHaveProperty("score"); // not the bundled model
    const clips = decodePng(new Uint8Array(readFileSync(at("c.png"))));
    // A title, the samplers' names, and a row.
    expect(clips).toMatchObject({ count: 2, width: 4 + 2 * 36, height: 40 + 24 + 4 });
    const sheet = decodePng(new Uint8Array(readFileSync(at("c-sheet.png"))));
    expect(sheet).toMatchObject({ count: 1, width: 8 + 2 * 32, height: 20 + 2 * (20 + 24 + 4) });
  });

  it.each([
    [[], 2, /takes a prompt, or --prompts <file>; one of them/],
    [["a", "--prompts", "x"], 2, /one of them/],
    [["a", "--limit", "2"], 2, /no effect without it/],
    [["--prompts", "missing.txt"], 2, /--prompts missing\.txt cannot be read/],
    [["a", "--schedulers", "lcm,magic"], 2, /Expected names of lcm, ddim/],
    [["a", "--steps", "4,4"], 2, /each once/],
    [["a", "--steps", "0"], 2, /whole numbers from 1 to 1000/],
    [["a", "--lcm-lora", "x"], 2, /go with --model/],
    [["a", "-o", "x.mov"], 2, /suffix \.mov is not written/],
    [
      ["a", "--schedulers", "lcm", "--guidance", "9"],
      2,
      /--guidance .* no effect with --schedulers lcm; theirs is --lcm-g/,
    ],
    [
      ["a", "--schedulers", "lcm,tcd", "--negative", "blue"],
      2,
      /--negative acts where guidance is above 1, and it is so for/,
    ],
    [["a", "--schedulers", "ddim", "--lcm-guidance", "2"], 2, /--lcm-guidance is for lcm and tcd, and has no effect/],
    [["a", "--schedulers", "ddim", "--model", "m", "--lcm-lora", "x"], 2, /--lcm-lora is for lcm and tcd/],
    [["a", "--schedulers", "ddim", "--model", "m", "--lcm-motion", "x"], 2, /--lcm-motion is for lcm and tcd/],
    [["a", "--schedulers", "lcm", "--model", "m", "--motion", "n", "--lcm-motion", "x"], 2, /--motion has no effect/],
    [["a", "--sheet", "c.gif"], 2, /--sheet c\.gif: the contact sheet is a PNG; end its name in \.png/],
    [["a", "-o", "./c.png", "--sheet", "c.png"], 2, /is where --output goes/],
    [
      ["a", ...TINY, "--lora", "missing.safetensors"],
      1,
      /--lora missing\.safetensors: there is no such file or folder/,
    ],
  ])("refuses %j", async (words, status, message) => {
    const r = await callCommandLine("compare", ...words);
    expect(r.status).toBe(status);
    expect(r.message).toMatch(message);
  });

  it.each([
    ['{"seed": 1}', /line 1 has no "prompt"/],
    ['a\n{"prompt": 1}', /line 2 has no "prompt"/],
    ["{oops", /line 1 is no valid JSON/],
    ['{"prompt": "a", "steps": 4}', /line 1: compare takes "prompt" and "seed", not "steps"/],
    ['{"prompt": "a", "seed": -1}', /whole number from 0/i],
    ["\n \n", /has no lines/],
  ])("refuses the file %j", async (text, message) => {
    writeFileSync(at("bad.jsonl"), text);
    const r = await callCommandLine("compare", "--prompts", at("bad.jsonl"));
    expect(r.status).toBe(2);
    expect(r.message).toMatch(message);
  });
});

describe("captions", () => {
  it("are understood in the wordings of the training", () => {
    const star = { colour: "red", shape: "star", motion: "moving left", background: "night sky" };
    expect(wantedOf("a red star moving left on a night sky")).toEqual(star);
    expect(wantedOf("Red star, moves to the left, at night")).toEqual(star);
    expect(wantedOf("a green circle getting bigger over the sea")).toEqual({
      colour: "green",
      shape: "circle",
      motion: "growing",
      background: "blue sea",
    });
    expect(wantedOf("a blue heart moving down on a green meadow")).toMatchObject({
      colour: "blue",
      background: "green meadow",
    });
    for (const vague of [
      "a star moving left at night",
      "a red star at night",
      "a red star moving left",
      "a red star and a blue circle moving up at night",
    ])
      expect(wantedOf(vague), vague).toBeUndefined();
  });

  it("are scored", () => {
    const wanted = wantedOf("a red star moving left at night")!;
    const found = { ...wanted, iou: 0.9, jitter: 1 } as unknown as Finding;
    const score = scoreOf([
      { wanted, found },
      { wanted, found: { ...found, shape: "heart", iou: 0.7, jitter: 2 } },
    ]);
    expect(score).toEqual({
      clips: 2,
      colour: 1,
      shape: 0.5,
      motion: 1,
      background: 1,
      all: 0.5,
      overlap: 0.8,
      jitter: 1.5,
    });
  });
});
