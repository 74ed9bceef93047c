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
    const { control: _, ...options } = c;
    const e = await last(pipeline.generate({ ...options, controls: await controlsOf(c, fixture, name) }));
    const l2 = relativeL2(e.latents, await fixture.values(`${name}.latents`));
    const db = psnr(e.frames.rgba, await fixture.values(`${name}.frames`));
    if (!(l2 <= 1e-4) || !(db >= 60)) failures.push(`${name}: latents ${l2.toExponential(2)}, ${db.toFixed(1)} dB`);
  }
  return failures;
}

describe("ControlNet", () => {
  it("makes diffusers' pictures in f32: plain, guided, in a part of the steps, two at once", async () => {
    const failures = await differences("pipelines-control.safetensors", async ({ control = [] }, fixture, name) => {
      const pictures = control.map((_, k) => clipOf(fixture, `${name}.in.control${k === 0 ? "" : `.${k}`}`));
      return (await Promise.all(pictures)).map((frames, k) => ({ ...control[k]!, network: controlnet, frames }));
    });
    expect(failures).toEqual([]);
  });
});
