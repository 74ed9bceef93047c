// Motion modules at their published size: AnimateDiff's names and MotionAdapter's, both ways.

import { describe, expect, it } from "vitest";
import { originalMotionNames, readMotion } from "../../../src/io/names/motion.js";
import { fixtureJson, listedWeights, type Listed } from "./files.js";

const { original, diffusers } = fixtureJson<{
  readonly original: readonly Listed[];
  readonly diffusers: readonly Listed[];
}>("motion.json");
const isEncoding = (n: string) => n.endsWith(".pe");
const entries = (file: { entries(): Iterable<{ name: string; shape: readonly number[] }> }) =>
  Object.fromEntries([...file.entries()].map((e) => [e.name, e.shape]));

describe("readMotion", () => {
  it("maps AnimateDiff's 588 tensors to MotionAdapter's 567", () => {
    const motion = readMotion(listedWeights(original));
    expect(entries(motion.weights)).toEqual(Object.fromEntries(diffusers));
    expect([original.length, diffusers.length]).toEqual([588, 567]);
    expect([motion.original, motion.positions, motion.middle]).toEqual([true, 32, true]);
    expect(motion.notes).toEqual([expect.stringMatching(/positional encoding stored with each second/)]);
  });

  it("maps back to exactly the original names", () => {
    expect(diffusers.flatMap(([n]) => originalMotionNames(n)).toSorted()).toEqual(original.map(([n]) => n).toSorted());
  });

  it("reads AnimateLCM's form: no encodings, `module.` before names, an image encoder beside", () => {
    const animateLcm = original.filter(([n]) => !isEncoding(n)).map(([n, s]): Listed => [`module.${n}`, s]);
    const motion = readMotion(listedWeights([...animateLcm, ["module.img_encoder.conv_in.weight", [320, 4, 3, 3]]]));
    expect(entries(motion.weights)).toEqual(Object.fromEntries(diffusers.filter(([n]) => !isEncoding(n))));
    expect(animateLcm.length).toBe(546);
    expect([motion.positions, motion.notes]).toEqual([undefined, []]);
    expect(entries(motion.imageEncoder!)).toEqual({ "conv_in.weight": [320, 4, 3, 3] });
  });

  it("leaves MotionAdapter's names alone, and takes the modules out of a whole UNet", () => {
    const motion = readMotion(listedWeights([...diffusers, ["conv_in.weight", [320, 4, 3, 3]]]));
    expect(entries(motion.weights)).toEqual(Object.fromEntries(diffusers));
    expect([motion.original, motion.positions, motion.imageEncoder]).toEqual([false, 32, undefined]);
    expect(motion.notes).toEqual(["1 tensors that belong to no motion module are not used"]);
  });

  it("says when there are none, and when one comes twice", () => {
    expect(() => readMotion(listedWeights([["conv_in.weight", [1]]]))).toThrow(/no motion modules/);
    const twice: Listed[] = [
      ["down_blocks.0.motion_modules.0.temporal_transformer.proj_in.weight", [320, 320]],
      ["down_blocks.0.motion_modules.0.proj_in.weight", [320, 320]],
    ];
    expect(() => readMotion(listedWeights(twice))).toThrow(/in two spellings/);
  });
});
