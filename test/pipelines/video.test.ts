// Video to video against diffusers' AnimateDiffVideoToVideoPipeline (test/reference/pipelines_video.py).

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline, FramesEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { planPipeline } from "../../src/pipelines/plan.js";
import { decodeRunState, encodeRunState, type RunState } from "../../src/pipelines/run-state.js";
import { relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
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

const SMALL: GenerateOptions = { prompt: "a red circle", width: 32, height: 24, steps: 4 };
const video = movingSquare(32, 24, 3);

describe("video to video", () => {
  it("makes diffusers' pictures in f32, in every case: strengths, FreeInit, FreeNoise, windows, chunks", async () => {
    const cases = Object.entries(fixture.json<Record<string, GenerateOptions>>("cases"));
    expect(cases.length).toBe(11);
    const failures: string[] = [];
    for (const [name, c] of cases) {
      const { originalSteps, ...rest } = c;
      const options = rest.scheduler === "ddim" || originalSteps === undefined ? rest : { ...rest, originalSteps };
      const e = await last(pipeline.generate({ ...options, video: await clipOf(fixture, `${name}.in.video`) }));
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

  it("takes a share of the steps in each iteration of FreeInit, as diffusers", () => {
    const course = (o: Partial<GenerateOptions>) => pipeline.scheduler(pipeline.settle({ ...SMALL, video, ...o }));
    const three = course({ steps: 10, strength: 0.8, freeInit: 3 }); // 8 steps of 10; 6 of 8; 4 of 6; 3 of 4
    expect([three.counts, three.timesteps.length]).toEqual([[6, 4, 3], 13]);
    expect(three.timesteps.map((_, step) => three.indexOf(step))).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 0, 1, 2]);
    expect(course({ steps: 3, strength: 1, freeInit: 2 }).counts).toEqual([3, 3]);
  });

  it.each<[string, Partial<GenerateOptions>, number]>([
    ["plain", {}, 1],
    ["FreeInit", { freeInit: 2, steps: 6 }, 4],
    [
      "windows and FreeInit under guidance",
      { freeInit: 2, steps: 6, long: "window", context: 2, stride: 1, guidance: 2 },
      2,
    ],
    ["FreeNoise", { long: "free-noise", context: 2, stride: 1 }, 2],
  ])("goes on after an interruption to the same bits: %s", async (_, change, steps) => {
    const options = { ...SMALL, width: 16, height: 16, video: movingSquare(16, 16, 3), ...change };
    const states: RunState[] = [];
    let whole: FramesEvent | undefined;
    for await (const e of pipeline.generate(options)) {
      if (e.type === "step") states.push(await e.state());
      else if (e.type === "frames") whole = e;
    }
    const resume = await decodeRunState(memorySource("state", encodeRunState(states[steps - 1]!)));
    const resumed = await last(pipeline.generate({ ...options, resume }));
    expect(resumed.latents).toEqual(whole!.latents);
    const other = pipeline.generate({ ...options, video: movingSquare(16, 16, 4), frames: 4, resume });
    await expect(last(other)).rejects.toThrow(/is of another run: its (frames|video) was/);
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
    [
      { video, freeInit: 3 },
      "takes the share 0.8 of the steps in every iteration anew, as diffusers does: of 4 steps the 3 iterations would run 2, 1, 0",
    ],
    [
      { video, freeInit: 2, scheduler: "euler" },
      "works with the samplers lcm, tcd, ddim, dpm, dpm++, dpm++-sde, unipc, not with euler",
    ],
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
