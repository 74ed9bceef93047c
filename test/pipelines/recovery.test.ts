// A device that is lost in the middle of a run: the run goes on, on another, to the same bits.

import { describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { openNodeDevice } from "../../src/node-device.js";
import type { AnimateDiffPipeline, FramesEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { generateRecovering } from "../../src/pipelines/recovery.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

// LCM draws fresh noise in each step: the generator has to go on where it was.
const RUN: GenerateOptions = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 4, scheduler: "lcm" };

async function load(device: Device): Promise<AnimateDiffPipeline> {
  return (await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" })).pipeline;
}

async function framesOf(pipeline: AnimateDiffPipeline, run: GenerateOptions): Promise<FramesEvent> {
  for await (const e of pipeline.generate(run)) if (e.type === "frames") return e;
  throw new Error("no frames");
}

describe("generateRecovering", () => {
  it("goes on after the last finished step where the device is lost, to the same bits", async () => {
    const device = await testDevice();
    using second = await load(device);
    const expected = await framesOf(second, RUN);

    using fragile = await openNodeDevice();
    using first = await load(fragile);
    const steps: number[] = [];
    const told: unknown[] = [];
    let frames: FramesEvent | undefined;
    const events = generateRecovering(first, RUN, async (lost, done) => {
      told.push(lost.message, done);
      return Promise.resolve({ pipeline: second });
    });
    for await (const e of events) {
      if (e.type === "frames") frames = e;
      if (e.type !== "step") continue;
      steps.push(e.index);
      // The next step is on its way when the device goes.
      if (steps.length === 2) setTimeout(() => fragile.lose(), 0);
    }
    expect(told).toEqual([expect.stringMatching(/^the GPU device was lost/), 2]);
    expect(steps).toEqual([0, 1, 2, 3]);
    expect(Buffer.compare(frames!.frames.rgba, expected.frames.rgba)).toBe(0);
    expect(frames!.latents).toEqual(expected.latents);
  });

  it("has a step's preview and attention where the device is lost before they are asked for", async () => {
    const run = { ...RUN, attentionTo: "circle" };
    using second = await load(await testDevice());
    const expected = await framesOf(second, run);
    using fragile = await openNodeDevice();
    using first = await load(fragile);
    const told: number[] = [];
    const reopen = (_: Error, done: number) => {
      told.push(done);
      return Promise.resolve({ pipeline: second });
    };
    let frames: FramesEvent | undefined;
    for await (const e of generateRecovering(first, run, reopen, { previews: true })) {
      if (e.type === "frames") frames = e;
      if (e.type !== "step" || e.index !== 1) continue;
      fragile.lose();
      const [preview, attention] = [await e.preview(), await e.attention!()];
      expect([preview.width, preview.height, preview.count]).toEqual([attention.width, attention.height, 2]);
    }
    expect(told).toEqual([2]);
    expect(Buffer.compare(frames!.frames.rgba, expected.frames.rgba)).toBe(0);
  });
});
