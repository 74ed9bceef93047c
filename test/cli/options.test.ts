// The options of a run: what is parsed, and what is refused.

import { fileURLToPath } from "node:url";
import { Command, CommanderError } from "commander";
import { describe, expect, it } from "vitest";
import { statusOf, UsageError } from "../../src/cli/failure.js";
import { addRunOptions, generateOptions, type RunArguments } from "../../src/cli/options.js";
import { program } from "../../src/cli/program.js";
import { modelPaths } from "../../src/cli/sources.js";

/** What the words parse to; stderr is not written to. */
function parse(...words: string[]): RunArguments {
  const command = addRunOptions(new Command().argument("[prompt]"))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(words, { from: "user" }).opts<RunArguments>();
}

/** What parsing throws, with the message meant for the user. */
function refusal(...words: string[]): { status: number; message: string } {
  try {
    parse(...words);
  } catch (error) {
    return { status: statusOf(error), message: (error as Error).message };
  }
  throw new Error(`${words.join(" ")} was accepted`);
}

describe("run options", () => {
  it("leaves to the pipeline what is not given", () => {
    expect(parse()).toEqual({ fps: 8 });
    expect(generateOptions("a star", parse())).toEqual({ prompt: "a star" });
  });

  it("parses every option of a text-to-video run", () => {
    const words =
      "--negative bad --steps 6 --guidance 1.5 --seed 7 --frames 12 --size 64x128 --fps 12.5 --scheduler dpm++ " +
      "--beta-end 0.014 --beta-schedule scaled_linear --motion-norm frame --precision f32 --clip-skip 1 " +
      "-o x.gif --latents-out l.safetensors --device 1";
    const a = parse(...words.split(" "));
    expect(generateOptions("p", a)).toEqual({
      prompt: "p",
      negative: "bad",
      steps: 6,
      guidance: 1.5,
      seed: 7,
      frames: 12,
      width: 64,
      height: 128,
      scheduler: "dpm++",
      betaEnd: 0.014,
      betaSchedule: "scaled_linear",
      motionNorm: "frame",
      clipSkip: 1,
    });
    expect(a).toMatchObject({ fps: 12.5, precision: "f32", output: "x.gif", latentsOut: "l.safetensors", device: "1" });
  });

  it("takes regions as fractions, as pixels and as masks by their paths", () => {
    const path = fileURLToPath(import.meta.url);
    expect(
      parse("--region", "0,0,.5,1:a star: red", "--region", "64,0,64,128:a sea", "--region", `${path}:x`).region,
    ).toEqual([
      { area: [0, 0, 0.5, 1], prompt: "a star: red", text: "0,0,.5,1:a star: red" },
      { area: [64, 0, 64, 128], prompt: "a sea", text: "64,0,64,128:a sea" },
      { area: path, prompt: "x", text: `${path}:x` },
    ]);
  });

  it("takes seed 0 and seeds beyond the exact range of numbers", () => {
    expect(parse("--seed", "0").seed).toBe(0);
    expect(parse("--seed", "18446744073709551615").seed).toBe(18446744073709551615n);
  });

  it("collects LoRAs with weights, colons in paths and negative weights included", () => {
    expect(
      parse("--lora", "a.safetensors", "--lora", "b.safetensors:0.8", "--lora", "C:\\x\\c.safetensors:-.5").lora,
    ).toEqual([
      { path: "a.safetensors", weight: 1 },
      { path: "b.safetensors", weight: 0.8 },
      { path: "C:\\x\\c.safetensors", weight: -0.5 },
    ]);
  });

  it("keeps the user's LoRAs beside --no-lora, in any order", () => {
    for (const words of [
      ["--no-lora", "--lora", "a"],
      ["--lora", "a", "--no-lora"],
    ]) {
      const paths = modelPaths(parse(...words));
      expect(paths.loras).toEqual([{ path: "a", weight: 1 }]);
      expect(paths.bundled).toBe(true);
    }
  });

  it("gives the bundled model its distilled weights for LCM, and those from before for others", () => {
    const lcm = modelPaths(parse());
    expect(lcm.motion).toMatch(/motion-lcm$/);
    expect(lcm.loras.map(({ path, weight }) => [path.split("/").at(-1), weight])).toEqual([
      ["lcm-lora.safetensors", 1],
    ]);
    const ddim = modelPaths(parse("--scheduler", "ddim"));
    expect(ddim.motion).toMatch(/motion-teacher$/);
    expect(ddim.loras).toEqual([]);
  });

  it("adds nothing to a model of the user's", () => {
    expect(modelPaths(parse("--model", "m"))).toEqual({ model: "m", loras: [], bundled: false });
    expect(() => modelPaths(parse("--model", "m", "--no-lora"))).toThrow(UsageError);
  });

  it.each([
    [["--steps", "0"], /--steps.*whole number from 1 to 1000/],
    [["--steps", "4.5"], /whole number/],
    [["--frames", "many"], /whole number/],
    [["--guidance", "-1"], /number from 0/],
    [["--guidance", ""], /number from 0/],
    [["--seed", "-1"], /whole number from 0 to 18446744073709551615/],
    [["--seed", "18446744073709551616"], /whole number from 0/],
    [["--size", "512"], /<width>x<height>/],
    [["--size", "100x64"], /multiples of 8.*104x64/],
    [["--fps", "0"], /number from 0\.1/],
    [["--scheduler", "magic"], /one of lcm, ddim/],
    [["--precision", "f64"], /f32 or f16/],
    [["--motion-norm", "both"], /joint or frame/],
    [["--beta-schedule", "cosine"], /linear, scaled_linear or squaredcos_cap_v2/],
    [["--colour", "red"], /unknown option '--colour'/],
    [["--steps"], /argument missing/],
    [["--region", "0,0,0.5,1: "], /no prompt: say what this part/],
    [["--region", "0.8,0,0.5,1:a star"], /beyond the picture, which goes from 0,0 to 1,1/],
    [["--region", "0.5,0,64,64:a star"], /four fractions from 0 to 1, or four whole numbers of pixels/],
    [["--region", "0,0,64:a star"], /lies at 0,0,64, expected x,y,width,height/],
    [["--region", "0,0,0,64:a star"], /has no area/],
    [["--region", "mask-that-is-not-there.png:a star"], /a mask that is there/],
    [["--region-base", "2"], /number from 0 to 1/],
  ])("refuses %j with status 2", (words, message) => {
    const r = refusal(...words);
    expect(r.status).toBe(2);
    expect(r.message).toMatch(message);
  });
});

describe("verbs", () => {
  const call = async (...words: string[]): Promise<unknown> => {
    const main = program();
    for (const c of [main, ...main.commands])
      c.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    return main.parseAsync(words, { from: "user" }).catch((error: unknown) => error);
  };

  it("refuses unknown verbs, missing and surplus arguments", async () => {
    for (const words of [["frobnicate"], ["generate", "a", "b"], ["inspect"], ["devices", "x"]]) {
      const error = await call(...words);
      expect(error, words.join(" ")).toBeInstanceOf(CommanderError);
      expect(statusOf(error)).toBe(2);
    }
  });

  it("has help for every verb, with every option that works", async () => {
    const main = program();
    const help = main.commands.find((c) => c.name() === "generate")!.helpInformation();
    for (const flag of [
      "--model",
      "--motion",
      "--lora",
      "--no-lora",
      "--vae",
      "--tokenizer",
      "--seed",
      "--latents-out",
      "--json",
      "--quiet",
      "--verbose",
    ])
      expect(help).toContain(flag);
    expect(statusOf(await call("--help"))).toBe(0);
    expect(statusOf(await call("--version"))).toBe(0);
  });
});
