// ControlNet against diffusers' pipeline (test/reference/pipelines_control.py).

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import type { ControlOptions } from "../../src/pipelines/control/options.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends GenerateOptions {
  readonly control?: readonly Required<Pick<ControlOptions, "scale" | "start" | "end">>[];
  readonly guess?: boolean;
}

let device: Device;
let pipeline: AnimateDiffPipeline;
let controlnet: ControlNetwork;
beforeAll(async () => {
  device = await testDevice();
  const model = await openFolder(fixturePath("tiny-a"));
  ({ pipeline } = await loadPipeline(device, { model, precision: "f32", encoder: true }));
  controlnet = await loadControl(device, await openFolder(fixturePath("tiny-a-controlnet")), { precision: "f32" });
});
afterAll(() => {
  for (const owned of [pipeline, controlnet]) owned.dispose();
});

/** diffusers' f32 result is about 1e-6 from its f64 one. */
async function differences(
  file: string,
  controlsOf: (c: Case, fixture: Fixture, name: string) => Promise<ControlOptions[]>,
): Promise<string[]> {
  const fixture = await Fixture.open(file);
  const failures: string[] = [];
  for (const [name, c] of Object.entries(fixture.json<Record<string, Case>>("cases"))) {
    const { control: _, guess: __, ...options } = c;
    const e = await last(pipeline.generate({ ...options, controls: await controlsOf(c, fixture, name) }));
    const l2 = relativeL2(e.latents, await fixture.values(`${name}.latents`));
    const db = psnr(e.frames.rgba, await fixture.values(`${name}.frames`));
    if (!(l2 <= 1e-4) || !(db >= 60)) failures.push(`${name}: latents ${l2.toExponential(2)}, ${db.toFixed(1)} dB`);
  }
  return failures;
}

describe("ControlNet", () => {
  // Plain, guided, in a part of the steps, two at once, guess mode, more frames than are looked at at once, windows, prompt travel.
  it("makes diffusers' pictures in f32", async () => {
    const failures = await differences(
      "pipelines-control.safetensors",
      async ({ control = [], guess = false }, fixture, name) => {
        const pictures = control.map((_, k) => clipOf(fixture, `${name}.in.control${k === 0 ? "" : `.${k}`}`));
        const clips = await Promise.all(pictures);
        return clips.map((frames, k) => ({ ...control[k]!, guess, network: controlnet, frames }));
      },
    );
    expect(failures).toEqual([]);
  });

  it("stays close in f16", async () => {
    if (!device.capabilities.f16) return;
    const model = await openFolder(fixturePath("tiny-a"));
    const { pipeline: half } = await loadPipeline(device, { model, precision: "f16" });
    using _ = half;
    using network = await loadControl(device, await openFolder(fixturePath("tiny-a-controlnet")), { precision: "f16" });
    const fixture = await Fixture.open("pipelines-control.safetensors");
    const { control, ...c } = fixture.json<Record<string, Case>>("cases")["control-guided"]!;
    const frames = await clipOf(fixture, "control-guided.in.control");
    const e = await last(half.generate({ ...c, controls: [{ ...control![0]!, network, frames }] }));
    // As for plain runs: f16 rounds to 2^-11, and a sampler at t = 999 multiplies errors by 25.
    expect(relativeL2(e.latents, await fixture.values("control-guided.latents"))).toBeLessThan(0.05);
    expect(psnr(e.frames.rgba, await fixture.values("control-guided.frames"))).toBeGreaterThan(40);
    await expect(last(pipeline.generate({ ...c, controls: [{ network, frames }] }))).rejects.toThrow(
      "tiny-a-controlnet was loaded in f16, but the model in f32; load both with the same precision",
    );
  });

  it("names both sides where pictures or steps do not fit", async () => {
    const frames = { width: 8, height: 8, count: 3, rgba: new Uint8Array(3 * 256) };
    const run = (more: Partial<ControlOptions>, options: Partial<GenerateOptions> = {}) =>
      last(
        pipeline.generate({
          prompt: "a",
          frames: 4,
          width: 32,
          height: 24,
          ...options,
          controls: [{ network: controlnet, frames, ...more }],
        }),
      );
    await expect(run({})).rejects.toThrow(
      "tiny-a-controlnet got 3 pictures for 4 frames; give one for each, or one for all",
    );
    await expect(run({ at: [0, 1, 2] })).rejects.toThrow(
      /is a ControlNet and reads a picture for every frame; "at" is SparseCtrl's/,
    );
    await expect(run({ start: 0.5, end: 0.5 }, { frames: 3 })).rejects.toThrow(
      /acts from 0.5 to 0.5, expected 0 ≤ start < end ≤ 1/,
    );
    await expect(run({ start: 0.3, end: 0.6 }, { frames: 3, steps: 2 })).rejects.toThrow(/no whole step of 2 lies/);
    await expect(run({ scale: Number.NaN }, { frames: 3 })).rejects.toThrow(/scale is NaN, expected a number/);
  });
});
