// --ip-adapter and what belongs to it: options put together, and a whole run against diffusers' latents.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ipArguments } from "../../src/cli/options-ip.js";
import { encodePng } from "../../src/io/png.js";
import { readRecipe } from "../../src/io/recipe.js";
import { memorySource, openSafetensors } from "../../src/io/safetensors.js";
import { relativeL2 } from "../support/allclose.js";
import { clipOf } from "../support/clips.js";
import { callCommandLine } from "../support/command-line.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-ip-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("--ip-adapter", () => {
  it("puts together what belongs to each adapter", () => {
    const scale = (s: number, start = 0, end = 1) => ({ scale: s, start, end, text: "" });
    expect(ipArguments({})).toEqual([]);
    expect(ipArguments({ ipAdapter: ["a"], ipEncoder: ["e"], ipImage: ["x", "y,z"] })).toEqual([
      { adapter: "a", encoder: "e", images: ["x", "y", "z"], scale: 1, start: 0, end: 1 },
    ]);
    const two = { ipAdapter: ["a", "b"], ipEncoder: ["e"], ipImage: ["x,y", "z"] };
    expect(ipArguments({ ...two, ipScale: [scale(0.5, 0, 0.5), scale(0.7)] })).toEqual([
      { adapter: "a", encoder: "e", images: ["x", "y"], scale: 0.5, start: 0, end: 0.5 },
      { adapter: "b", encoder: "e", images: ["z"], scale: 0.7, start: 0, end: 1 },
    ]);
    expect(ipArguments({ ...two, ipScale: [scale(0.5)] }).map((p) => p.scale)).toEqual([0.5, 0.5]);
  });

  it.each([
    [
      ["--ip-image", "x.png"],
      /takes --ip-adapter, --ip-encoder and --ip-image together; --ip-adapter and --ip-encoder are/,
    ],
    [["--ip-adapter", "a"], /--ip-encoder and --ip-image are missing/],
    [["--ip-scale", "1"], /--ip-adapter and --ip-encoder and --ip-image are missing/],
    [["--ip-scale", "much"], /Expected a number, or a number with a part of the steps like 0\.6:0-0\.5/],
    [
      ["--ip-adapter", "a", "--ip-adapter", "b", "--ip-encoder", "e", "--ip-image", "x"],
      /1 --ip-image for 2 --ip-adapter; give one for each/,
    ],
    [
      ["--ip-adapter", "a", "--ip-encoder", "e", "--ip-encoder", "f", "--ip-image", "x"],
      /2 --ip-encoder for 1 --ip-adapter; give one for all/,
    ],
  ])("%j is a wrong call", async (words, message) => {
    const called = await callCommandLine("generate", "a star", ...words);
    expect([called.status, called.message]).toEqual([2, expect.stringMatching(message)]);
  });

  it("runs three adapters at once, and remembers them in the recipe", async () => {
    const fixture = await Fixture.open("pipelines-ip-kinds.safetensors");
    const c =
      fixture.json<Record<string, { prompt: string; files: Record<string, string>; ip: { kind: string }[] }>>("cases")[
        "ip-three"
      ]!;
    const save = async (name: string) => {
      const path = join(folder, `${name}.png`);
      writeFileSync(path, await encodePng(await clipOf(fixture, `ip-three.in.${name}`)));
      return path;
    };
    const [a, b, full, plus] = [await save("0.0"), await save("0.1"), await save("1.0"), await save("2.0")];
    const adapters = c.ip.flatMap(({ kind }) => ["--ip-adapter", fixturePath(c.files[kind]!)]);
    const images = [`${a},${b}`, full, plus].flatMap((x) => ["--ip-image", x]);
    const scales = ["0.5", "0.4", "-0.3"].map((s) => `--ip-scale=${s}`);
    const base = ["--model", fixturePath("tiny-a"), "--frames", "3", "--size", "24x16", "--precision", "f32", "-q"];
    const run = ["--guidance", "1.5", "--seed", "3", "--motion-norm", "frame"];
    const [output, latents] = [join(folder, "clip.png"), join(folder, "latents.safetensors")];
    const files = ["--ip-encoder", fixturePath("tiny-a-ip-encoder"), "-o", output, "--latents-out", latents];
    const words = ["generate", c.prompt, ...base, ...run, ...adapters, ...images, ...scales, ...files];
    const called = await callCommandLine(...words);
    expect(called).toMatchObject({ status: 0, message: "" });
    const made = await openSafetensors(memorySource("latents", new Uint8Array(readFileSync(latents))));
    expect(relativeL2(await made.readF32("latents"), await fixture.values("ip-three.latents"))).toBeLessThan(1e-4);
    expect(await readRecipe(new Uint8Array(readFileSync(output)))).toMatchObject({
      ipImage: [`${a},${b}`, full, plus],
      ipScale: ["0.5", "0.4", "-0.3"],
    });
  });
});
