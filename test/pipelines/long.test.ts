// Longer clips and what changes along a run, against diffusers (test/reference/pipelines_long.py): FreeNoise, FreeInit,
// prompt travel.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";
import { framesOf, psnr } from "../support/pictures.js";

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-long.safetensors");
  pipeline = (await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" }))
    .pipeline;
});
afterAll(() => pipeline.dispose());

describe("diffusers' pictures in f32", () => {
  it.each([
    "free-noise",
    "free-noise-guided",
    "free-noise-long",
    "prompt-travel",
    "prompt-travel-guided",
    "free-init",
    "free-init-guided",
    "free-init-gaussian",
  ])("%s", async (name) => {
    const { model: _, ...options } = fixture.json<Record<string, GenerateOptions & { model: string }>>("cases")[name]!;
    const e = await framesOf(pipeline.generate(options));
    const l2 = relativeL2(e.latents, await fixture.values(`${name}.latents`));
    const db = psnr(e.frames.rgba, await fixture.values(`${name}.frames`));
    expect([l2 <= 1e-4, db >= 60], `latents ${l2.toExponential(2)}, ${db.toFixed(1)} dB`).toEqual([true, true]);
  });
});
