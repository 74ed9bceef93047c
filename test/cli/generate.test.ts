// kineograph generate, run in this process on a tiny model: what it prints, what it writes, and what it leaves when it fails
// or is interrupted.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { messageOf, statusOf } from "../../src/cli/failure.js";
import { program } from "../../src/cli/program.js";
import { Denoiser } from "../../src/pipelines/denoiser.js";
import { decodePng } from "../../src/io/png-reader.js";
import { memorySource, openSafetensors } from "../../src/io/safetensors.js";

const model = fileURLToPath(new URL("../reference/fixtures/tiny-a", import.meta.url));
/** A run that takes moments. */
const SMALL = [
  "--model",
  model,
  "--steps",
  "2",
  "--frames",
  "3",
  "--size",
  "32x24",
  "--seed",
  "5",
  "--precision",
  "f32",
];

let folder: string;
let stdout: string;
let stderr: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-test-"));
  [stdout, stderr] = ["", ""];
  vi.spyOn(console, "log").mockImplementation((text: string) => void (stdout += `${text}\n`));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** Runs the command line; the exit status, and the message where it failed. */
async function kineograph(...words: readonly string[]): Promise<{ status: number; message: string }> {
  const main = program();
  for (const c of [main, ...main.commands]) c.configureOutput({ writeErr: (text) => (stderr += text) });
  try {
    await main.parseAsync(words, { from: "user" });
    return { status: 0, message: "" };
  } catch (error) {
    return { status: statusOf(error), message: messageOf(error, false) ?? stderr };
  }
}

const at = (name: string) => join(folder, name);

describe("kineograph generate", () => {
  it("prints exactly the JSON that scripts are promised, and nothing else on stdout", async () => {
    const words = ["generate", "a star", ...SMALL, "--json", "-o", at("a.png"), "--latents-out", at("l.safetensors")];
    expect(await kineograph(...words)).toEqual({ status: 0, message: "" });
    const report = JSON.parse(stdout) as Record<string, unknown>;
    expect(Object.keys(report)).toEqual(
      "output seed steps timesteps frames width height adapter seconds memory dispatches pipelines warnings".split(" "),
    );
    expect(report).toMatchObject({
      output: at("a.png"),
      seed: 5,
      steps: 2,
      frames: 3,
      width: 32,
      height: 24,
      warnings: [],
    });
    expect(report["timesteps"]).toEqual([999, 499]);
    const times = report["seconds"] as Record<string, number>;
    expect(Object.keys(times)).toEqual(["load", "text", "denoise", "decode", "encode", "total"]);
    const { total, ...parts } = times;
    expect(Object.values(parts).reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(total! * 1.01);
    const memory = report["memory"] as Record<string, number>;
    expect(memory["peakBytes"]).toBeGreaterThan(memory["weightBytes"]!);
    expect(memory["processPeakBytes"]).toBeGreaterThan(10 * 2 ** 20);
    expect(report["dispatches"]).toBeGreaterThan(100);
    expect(report["pipelines"]).toBeLessThanOrEqual(40);

    const clip = decodePng(new Uint8Array(readFileSync(at("a.png"))));
    expect(clip).toMatchObject({ width: 32, height: 24, count: 3 });
    const latents = await openSafetensors(memorySource("l", new Uint8Array(readFileSync(at("l.safetensors")))));
    expect(latents.tensors.get("latents")).toMatchObject({
      dtype: "F32",
      shape: [1, 4, 3, expect.any(Number), expect.any(Number)],
    });
  });

  it("carries a recipe that makes the same bytes again, from PNG and GIF alike", async () => {
    const words = ["generate", 'it\'s a "star", -5 %', ...SMALL, "--negative", "blur", "--guidance", "1.5", "--quiet"];
    expect(await kineograph(...words, "-o", at("a.gif"))).toEqual({ status: 0, message: "" });
    expect(stdout).toBe(`${at("a.gif")}\n`);
    expect(stderr).toBe("");
    stdout = "";
    expect(await kineograph("inspect", at("a.gif"))).toEqual({ status: 0, message: "" });
    const again = shellWords(stdout.trim());
    expect(again.slice(0, 3)).toEqual(["kineograph", "generate", 'it\'s a "star", -5 %']);
    expect(await kineograph(...again.slice(1), "--quiet", "-o", at("b.gif"))).toEqual({ status: 0, message: "" });
    expect(readFileSync(at("b.gif"))).toEqual(readFileSync(at("a.gif")));
    expect(await kineograph(...again.slice(1), "--quiet", "-o", at("c.png"))).toEqual({ status: 0, message: "" });
    stdout = "";
    expect(await kineograph("inspect", at("c.png"))).toEqual({ status: 0, message: "" });
    expect(shellWords(stdout.trim())).toEqual(again);
  });

  it("writes a folder of frames", async () => {
    expect((await kineograph("generate", "a star", ...SMALL, "--quiet", "-o", at("frames/"))).message).toBe("");
    expect(readdirSync(at("frames"))).toEqual(["frame-0000.png", "frame-0001.png", "frame-0002.png"]);
  });

  it("tells progress in plain lines on stderr, and only the path on stdout", async () => {
    await kineograph("generate", "a star", ...SMALL, "--negative", "blur", "-o", at("a.png"));
    expect(stdout).toBe(`${at("a.png")}\n`);
    for (const line of [
      /^adapter /m,
      /^load /m,
      /^step 1 of 2, timestep 999: /m,
      /^denoise +\S+ \S+ +2 steps$/m,
      /^total /m,
    ])
      expect(stderr).toMatch(line);
    expect(stderr).toMatch(/^warning: the negative prompt has no effect at guidance 1/m);
  });

  it("leaves the state to go on with when interrupted, and ends with 130", async () => {
    const run = kineograph("generate", "a star", ...SMALL, "--scheduler", "ddim", "--steps", "400", "-o", at("a.png"));
    await vi.waitUntil(() => stderr.includes("step 1 of 400"), { timeout: 60_000, interval: 5 });
    process.emit("SIGINT");
    const { status, message } = await run;
    expect(status).toBe(130);
    expect(message).toMatch(
      /^kineograph: interrupted after step \d+; the same command with --resume .*a\.png\.resume goes on/,
    );
    expect(stdout).toBe("");
    expect(readdirSync(folder)).toEqual(["a.png.resume"]);
    expect(process.listenerCount("SIGINT")).toBe(0);
  });

  it("goes on with a run whose file could not be written, and refuses the state to another run", async () => {
    const run = kineograph("generate", "a star", ...SMALL, "-o", at("a.png"));
    await vi.waitUntil(() => stderr.includes("adapter "), { timeout: 60_000, interval: 1 });
    mkdirSync(at("a.png"));
    const { status, message } = await run;
    expect([status, message]).toEqual([
      1,
      expect.stringMatching(
        /^kineograph: cannot write \S+: .*\. The run stopped after step 2; the same command with --resume .*a\.png\.resume goes on/,
      ),
    ]);
    rmdirSync(at("a.png"));
    const resume = ["-o", at("a.png"), "--resume", at("a.png.resume")];
    expect(await kineograph("generate", "a star", ...SMALL, "--steps", "3", ...resume)).toEqual({
      status: 1,
      message: expect.stringMatching(/its steps was 2, now it is 3; [^.;]*without it$/) as string,
    });
    expect(await kineograph("generate", "a star", ...SMALL, ...resume)).toEqual({ status: 0, message: "" });
    expect(readdirSync(folder)).toEqual(["a.png"]);
    await kineograph("generate", "a star", ...SMALL, "-o", at("b.png"));
    expect(readFileSync(at("b.png")).equals(readFileSync(at("a.png")))).toBe(true);
  });

  it.each([
    ["an unknown model", ["--model", "/nowhere/model"], 1, /--model \/nowhere\/model: there is no such file or folder/],
    ["a folder that is no model", ["--model", tmpdir()], 1, /model_index\.json/],
    [
      "a folder that does not exist",
      ["-o", "/nowhere/a.png"],
      1,
      /cannot write \/nowhere\/a\.png: the folder does not exist/,
    ],
    ["an output without a suffix", ["-o", "clip"], 2, /no suffix; use \.png/],
    ["an output that is not written", ["-o", "clip.avi"], 2, /\.avi is not written; use \.png/],
    ["an output of another kind", ["-o", "clip.mov"], 2, /clip\.mov: the suffix \.mov is not written; use \.png/],
    ["more frames than the motion module knows", ["--frames", "999"], 1, /999 frames are more than the \d+ positions/],
    ["steps above the training grid", ["--steps", "60"], 1, /60/],
    [
      "an original grid with another sampler",
      ["--scheduler", "ddim", "--original-steps", "50"],
      2,
      /--original-steps is LCM's training grid/,
    ],
    ["a name of no repository", ["--model", "hf:a"], 1, /hf:a is no name of the Hugging Face Hub; expected hf:owner/],
    ["a word that is no path", ["--model", "sd1.4x"], 1, /--model sd1.4x: there is no such file or folder$/],
    ["a mistyped short name", ["--model", "sd14"], 1, /there is no such file or folder; short names are sd15, /],
    ["an adapter that is not there", ["--device", "Voodoo 2"], 2, /no such adapter; this machine has\n {2}0 {2}\S/],
  ])("refuses %s in one message", async (_, extra, status, message) => {
    const r = await kineograph("generate", "a star", ...SMALL, "-o", at("a.png"), ...extra);
    expect(r.message).toMatch(message);
    expect(r.message).not.toContain("    at ");
    expect(r.status).toBe(status);
    expect(stdout).toBe("");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("goes on after the last step where the device is lost, to the same file", async () => {
    await kineograph("generate", "a star", ...SMALL, "-o", at("a.png"));
    const step = Reflect.get(Denoiser.prototype, "step") as Denoiser["step"];
    let lost = false;
    Denoiser.prototype.step = function (index) {
      const check = step.call(this, index);
      if (!lost && index === 1 && !check.device.isDry) {
        check.device.lose();
        lost = true;
      }
      return check;
    };
    const r = await kineograph("generate", "a star", ...SMALL, "-o", at("b.png"));
    Denoiser.prototype.step = step;
    expect(r).toEqual({ status: 0, message: "" });
    expect(stderr).toMatch(/the GPU device was lost .*; opening it again, to go on after step 1/);
    expect(readFileSync(at("b.png")).equals(readFileSync(at("a.png")))).toBe(true);
  });

  it("names a LoRA file that is none", async () => {
    writeFileSync(at("page.safetensors"), "<!DOCTYPE html><html>Please log in</html>");
    const r = await kineograph("generate", "a star", ...SMALL, "-o", at("a.png"), "--lora", at("page.safetensors"));
    expect(r.status).toBe(1);
    expect(r.message).toMatch(/page\.safetensors.*(HTML|web page)/i);
  });
});

describe("kineograph inspect", () => {
  it("names models, files, and pictures without a recipe", async () => {
    await kineograph("inspect", model, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      kind: "diffusers folder",
      parts: expect.arrayContaining([expect.objectContaining({ path: "unet" })]) as unknown,
    });
    writeFileSync(at("x.png"), "not a picture");
    const r = await kineograph("inspect", at("x.png"));
    expect(r.status).toBe(1);
    expect(r.message).toContain("no PNG, GIF or WebP file");
    expect((await kineograph("inspect", at("none.safetensors"))).message).toContain("there is no such file or folder");
  });

  it("lists every tensor of a model folder's parts where asked to", async () => {
    expect(await kineograph("inspect", model, "-v", "--json")).toEqual({ status: 0, message: "" });
    const { parts } = JSON.parse(stdout) as { parts: { tensors: number; entries: { name: string }[] }[] };
    expect(parts.length).toBeGreaterThan(2);
    for (const { tensors, entries } of parts) expect(entries.length).toBe(tensors);
    stdout = "";
    await kineograph("inspect", model, "-v");
    for (const name of parts.map(({ entries }) => entries.at(-1)!.name)) expect(stdout).toContain(`  ${name}  F16 [`);
  });

  it("names the file that is broken, and the cure", async () => {
    for (const [name, text, message] of [
      ["model_index.json", "{oops", /model_index\.json is not valid JSON: download it again$/],
      ["model_index.json", "[]", /model_index\.json should be a JSON object$/],
    ] as const) {
      writeFileSync(at(name), text);
      const r = await kineograph("inspect", folder);
      expect(r.status).toBe(1);
      expect(r.message).toMatch(message);
    }
  });
});

describe("kineograph plan and devices", () => {
  it("plans the published sizes without weights", async () => {
    expect(await kineograph("plan", "--model", "sd15", "--size", "512x512", "--precision", "f16", "--json")).toEqual({
      status: 0,
      message: "",
    });
    const plan = JSON.parse(stdout) as {
      parameters: Record<string, number>;
      stages: { name: string }[];
      pipelines: number;
      peakBytes: number;
      weightBytes: number;
    };
    expect(plan.parameters["unet"]! / 1e6).toBeCloseTo(859.5, 1);
    expect(plan.parameters["motion"]! / 1e6).toBeCloseTo(453.2, 1);
    expect(plan.stages.map((s) => s.name)).toEqual(["load", "text", "denoise", "decode"]);
    expect(plan.pipelines).toBeLessThanOrEqual(40);
    expect(plan.peakBytes).toBeGreaterThan(plan.weightBytes);
  });

  it("shows the plan that takes least where nothing fits, and says so", async () => {
    const words = [
      "plan",
      "--model",
      model,
      "--frames",
      "3",
      "--size",
      "32x24",
      "--precision",
      "f32",
      "--memory",
      "0.1MB",
    ];
    expect(await kineograph(...words, "--json")).toEqual({ status: 0, message: "" });
    const plan = JSON.parse(stdout) as { fits: boolean; limit: number; peakBytes: number; lowMemory: boolean };
    expect(plan).toMatchObject({ fits: false, limit: 1e5, lowMemory: true });
    expect(plan.peakBytes).toBeGreaterThan(plan.limit);
    stdout = "";
    expect(await kineograph(...words)).toEqual({ status: 0, message: "" });
    expect(stdout).toMatch(/^memory +.*--low-memory, which takes least$/m);
    expect(stdout).toMatch(
      /^Does not fit: --memory allows 97.7 KiB. Less is taken by --weights int8, fewer frames or a smaller size.$/m,
    );
  });

  it("lists adapters with what they have and lack", async () => {
    expect(await kineograph("devices", "--json")).toEqual({ status: 0, message: "" });
    const [first] = JSON.parse(stdout) as Record<string, unknown>[];
    expect(first).toMatchObject({
      index: 0,
      default: true,
      name: expect.stringMatching(/\S/) as unknown,
      limits: expect.anything() as unknown,
    });
  });
});

/** The words of a command as a POSIX shell splits it; enough for what recipes use. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'\\]|'[^']*'|\\.)+/g)].map(([word]) =>
    word.replaceAll(
      /'([^']*)'|\\(.)/g,
      (_, quoted: string | undefined, escaped: string | undefined) => quoted ?? escaped ?? "",
    ),
  );
}
