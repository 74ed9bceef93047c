// Video to video against diffusers' AnimateDiffVideoToVideoPipeline (test/reference/pipelines_video.py).

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import type { Clip } from "../../src/io/frames.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline, FramesEvent, GenerationEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { planPipeline } from "../../src/pipelines/plan.js";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";
import { movingSquare } from "../io/clip.js";

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-video.safetensors");
  const model = await openFolder(fixturePath("tiny-a"));
  ({ pipeline } = await loadPipeline(device, { model, precision: "f32", encoder: true }));
});
afterAll(() => pipeline.dispose());

async function last(events: AsyncIterable<GenerationEvent>): Promise<FramesEvent> {
  let frames: FramesEvent | undefined;
  for await (const e of events) if (e.type === "frames") frames = e;
  return frames!;
}

/** Peak signal-to-noise ratio in dB between 8-bit pictures: RGBA against RGB. */
function psnr(rgba: Uint8Array, rgb: ArrayLike<number>): number {
  let error = 0;
  for (let p = 0; p < rgba.length / 4; p++)
    for (let k = 0; k < 3; k++) error += (rgba[4 * p + k]! - rgb[3 * p + k]!) ** 2;
  return 10 * Math.log10(255 ** 2 / Math.max(error / rgb.length, 1e-12));
}

async function clipOf(name: string): Promise<Clip> {
  const [count = 0, height = 0, width = 0] = fixture.shape(name);
  const rgb = await fixture.values(name);
  const rgba = new Uint8Array(count * height * width * 4).fill(255);
  for (let p = 0; p < rgb.length / 3; p++) for (let k = 0; k < 3; k++) rgba[4 * p + k] = rgb[3 * p + k]!;
  return { width, height, count, rgba };
}

const SMALL: GenerateOptions = { prompt: "a red circle", width: 32, height: 24, steps: 4 };
const video = movingSquare(32, 24, 3);

describe("video to video", () => {
  it("makes diffusers' pictures in f32, in every case", async () => {
    const cases = Object.entries(fixture.json<Record<string, GenerateOptions>>("cases"));
    expect(cases.length).toBeGreaterThanOrEqual(6);
    const failures: string[] = [];
    for (const [name, c] of cases) {
      const { originalSteps, ...rest } = c;
      const options = rest.scheduler === "ddim" || originalSteps === undefined ? rest : { ...rest, originalSteps };
      const e = await last(pipeline.generate({ ...options, video: await clipOf(`${name}.in.video`) }));
      const l2 = relativeL2(e.latents, await fixture.values(`${name}.latents`));
      const db = psnr(e.frames.rgba, await fixture.values(`${name}.frames`));
      if (!(l2 <= 1e-4) || !(db >= 60)) failures.push(`${name}: latents ${l2.toExponential(2)}, ${db.toFixed(1)} dB`);
    }
    expect(failures).toEqual([]);
  });

  it("runs the last steps by strength, or as many as asked for", () => {
    const timesteps = (o: Partial<GenerateOptions>) =>
      pipeline.scheduler(pipeline.settle({ ...SMALL, video, ...o })).timesteps;
    expect(timesteps({ strength: 1 })).toEqual([999, 759, 499, 259]);
    expect(timesteps({ strength: 0.5 })).toEqual([499, 259]);
    expect(timesteps({})).toEqual([759, 499, 259]); // 0.8
    // int(4 / 0.5) = 8 steps of LCM, of which the last 4 run.
    expect(timesteps({ strength: 0.5, enforceSteps: true })).toEqual([499, 379, 259, 139]);
    for (const [steps, strength] of [
      [4, 0.3],
      [3, 0.7],
      [5, 0.9],
      [7, 1],
    ] as const)
      expect(timesteps({ steps, strength, enforceSteps: true, scheduler: "ddim" })).toHaveLength(steps);
  });

  it("takes pictures of another size", async () => {
    const e = await last(pipeline.generate({ ...SMALL, strength: 0.25, video: movingSquare(50, 60, 3) }));
    expect(e.frames).toMatchObject({ width: 32, height: 24, count: 3 });
  });

  it("frees all it used over 20 runs", async () => {
    const run = (seed: number) => last(pipeline.generate({ ...SMALL, seed, strength: 0.25, video }));
    await run(0);
    const { used, reserved } = device.memory;
    for (let seed = 1; seed <= 20; seed++) await run(seed);
    expect(device.memory.used).toBe(used);
    expect(device.memory.reserved).toBeLessThanOrEqual(reserved);
  });

  it("is planned with its encoder", async () => {
    const model = await openFolder(fixturePath("tiny-a"));
    const sources = { model, precision: "f32" } as const;
    const options = { ...SMALL, frames: 3 };
    const without = await planPipeline(device.capabilities, sources, options);
    const plan = await planPipeline(device.capabilities, sources, { ...options, video, strength: 0.5 });
    expect(plan.stages.map((s) => s.name).slice(-4)).toEqual(["text", "video", "denoise", "decode"]);
    expect(plan.weightBytes).toBeGreaterThan(without.weightBytes);
    const flops = (p: typeof plan) => p.stages.find((s) => s.name === "denoise")!.flops;
    expect(flops(plan) / flops(without)).toBeCloseTo(0.5, 1);
  });
});

describe("refuses", () => {
  it.each([
    [{ video, strength: 0 }, "strength is 0, expected a number above 0 (which would change nothing) to 1"],
    [{ video, strength: 1.5 }, "strength is 1.5"],
    [{ video, strength: Number.NaN }, "strength is NaN"],
    [{ video, strength: 0.2 }, "strength 0.2 of 4 steps leaves no step to run; take at least 5 steps"],
    [{ video, frames: 4 }, "the video has 3 frames, but 4 are asked for"],
    [{ video: { ...video, rgba: video.rgba.subarray(4) } }, "a clip of 3 frames of 32x24 takes 9216 bytes, got 9212"],
    [{ strength: 0.5 }, "strength and enforceSteps belong to video to video, and there is no video"],
    [{ enforceSteps: true }, "and there is no video"],
  ] as const)("%#", async (change, message) => {
    await expect(last(pipeline.generate({ ...SMALL, ...change }))).rejects.toThrow(message);
  });

  it("a pipeline without its encoder", async () => {
    const model = await openFolder(fixturePath("tiny-a"));
    const { used } = device.memory;
    using plain = (await loadPipeline(device, { model, precision: "f32" })).pipeline;
    await expect(last(plain.generate({ ...SMALL, video }))).rejects.toThrow("load with encoder: true");
    plain.dispose();
    expect(device.memory.used).toBe(used);
  });
});
