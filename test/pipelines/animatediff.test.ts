// Whole runs, prompt to pictures, against diffusers' AnimateDiffPipeline (test/reference/pipelines.py).

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline, FramesEvent, GenerationEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends GenerateOptions {
  readonly model: string;
  readonly lora?: readonly { readonly file: string; readonly weight: number }[];
}

let device: Device;
let fixture: Fixture;
const loaded = new Map<string, Promise<AnimateDiffPipeline>>();
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines.safetensors");
});
afterAll(async () => {
  for (const pipeline of loaded.values()) (await pipeline).dispose();
});

/** Each model is loaded once per precision and LoRA stack. */
function pipelineOf(
  { model, lora = [] }: Pick<Case, "model" | "lora">,
  precision: "f32" | "f16",
): Promise<AnimateDiffPipeline> {
  const key = JSON.stringify([model, lora, precision]);
  let pipeline = loaded.get(key);
  if (!pipeline) {
    pipeline = (async () => {
      const loras = lora.map(({ file, weight }) => ({
        source: memorySource(file, readFileSync(fixturePath(file))),
        weight,
      }));
      return (await loadPipeline(device, { model: await openFolder(fixturePath(model)), loras, precision })).pipeline;
    })();
    loaded.set(key, pipeline);
  }
  return pipeline;
}

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

/** f16 storage rounds weights and activations to 2^-11; a sampler at t = 999 multiplies errors by 25. */
const LIMITS = { f32: { latents: 1e-4, psnr: 60 }, f16: { latents: 0.05, psnr: 40 } };

describe("AnimateDiffPipeline", () => {
  it("makes diffusers' pictures in f32, in every case", async () => {
    const cases = Object.entries(fixture.json<Record<string, Case>>("cases"));
    expect(cases.length).toBeGreaterThan(15);
    const failures: string[] = [];
    for (const [name, c] of cases) {
      const { model: _, lora: __, originalSteps, ...rest } = c;
      // The fixture gives every case a training grid; only LCM has one.
      const options = rest.scheduler === "ddim" || originalSteps === undefined ? rest : { ...rest, originalSteps };
      // diffusers cuts off what exceeds the text encoder's length.
      const e = await last((await pipelineOf(c, "f32")).generate({ ...options, plainPrompt: true }));
      const l2 = relativeL2(e.latents, await fixture.values(`${name}.latents`));
      const db = psnr(e.frames.rgba, await fixture.values(`${name}.frames`));
      if (!(l2 <= LIMITS.f32.latents) || !(db >= LIMITS.f32.psnr))
        failures.push(`${name}: latents ${l2.toExponential(2)}, ${db.toFixed(1)} dB`);
    }
    expect(failures).toEqual([]);
  });

  it.each(["tiny-a-plain", "tiny-a-guided", "tiny-b-plain"])("stays close in f16: %s", async (name) => {
    if (!device.capabilities.f16) return;
    const { model, lora: _, ...options } = fixture.json<Record<string, Case>>("cases")[name]!;
    const e = await last((await pipelineOf({ model }, "f16")).generate(options));
    expect(relativeL2(e.latents, await fixture.values(`${name}.latents`))).toBeLessThan(LIMITS.f16.latents);
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(LIMITS.f16.psnr);
  });
});

const SMALL: GenerateOptions = { prompt: "a red circle", frames: 3, width: 32, height: 24, steps: 2 };

describe("a run", () => {
  it("tells each step, previews it, and gives the same bits again", async () => {
    const pipeline = await pipelineOf({ model: "tiny-a" }, "f32");
    const steps: number[] = [];
    let frames: FramesEvent | undefined;
    for await (const e of pipeline.generate(SMALL)) {
      if (e.type === "frames") frames = e;
      else if (e.type === "step") {
        steps.push(e.timestep);
        const preview = await e.preview();
        expect(preview).toMatchObject({ width: 8, height: 6, count: 3 });
        expect(preview.rgba.length).toBe(8 * 6 * 3 * 4);
        expect(new Set(preview.rgba).size).toBeGreaterThan(8);
      }
    }
    expect(steps).toEqual([999, 499]);
    const again = await last(pipeline.generate(SMALL));
    expect(Buffer.compare(again.frames.rgba, frames!.frames.rgba)).toBe(0);
    expect(frames!.latentShape).toEqual([1, 4, 3, 6, 8]);
  });

  it("frees all it used, also when cancelled, and leaves the pipeline usable", async () => {
    const pipeline = await pipelineOf({ model: "tiny-a" }, "f32");
    await last(pipeline.generate(SMALL));
    const { used, reserved } = device.memory;
    const controller = new AbortController();
    const cancelled = (async () => {
      for await (const e of pipeline.generate({ ...SMALL, steps: 8, signal: controller.signal }))
        if (e.type === "step") controller.abort(new Error("enough"));
    })();
    await expect(cancelled).rejects.toThrow("enough");
    expect(device.memory.used).toBe(used);
    for (const e of [1, 2, 3]) await last(pipeline.generate({ ...SMALL, seed: e }));
    expect(device.memory.used).toBe(used);
    expect(device.memory.reserved).toBeLessThanOrEqual(reserved * 1.1);
  });

  it("shares a device with another run going on at the same time", async () => {
    const pipeline = await pipelineOf({ model: "tiny-a" }, "f32");
    const alone = await last(pipeline.generate(SMALL));
    const [a, b] = await Promise.all([last(pipeline.generate(SMALL)), last(pipeline.generate({ ...SMALL, seed: 5 }))]);
    expect(Buffer.compare(a.frames.rgba, alone.frames.rgba)).toBe(0);
    expect(Buffer.compare(b.frames.rgba, alone.frames.rgba)).not.toBe(0);
  });

  it("warns of what has no effect and of words left out", async () => {
    const pipeline = await pipelineOf({ model: "tiny-a" }, "f32");
    const long = { ...SMALL, negative: "bad", prompt: "a red circle ".repeat(40) };
    const e = await last(pipeline.generate({ ...long, plainPrompt: true }));
    expect(e.warnings).toEqual([
      expect.stringMatching(/longer than the text encoder takes; left out: "/),
      expect.stringMatching(/negative prompt has no effect/),
    ]);
    // Read as markup, a long prompt takes more rows of tokens, and the negative one is filled up.
    const whole = await last(pipeline.generate({ ...long, guidance: 1.5 }));
    expect(whole.warnings).toEqual([]);
    expect(relativeL2(whole.latents, e.latents)).toBeGreaterThan(0.01);
  });

  it.each([
    [{ width: 30 }, "width is 30, expected a multiple of 8; the nearest is 32"],
    [{ frames: 33 }, "33 frames are more than the 32 positions"],
    [{ frames: 0 }, "frames is 0, expected a whole number of at least 1"],
    [{ steps: 60 }, /60/],
    [{ steps: 2.5 }, "steps is 2.5, expected a whole number from 1 to 1000"],
    [{ seed: -1 }, "seed is -1"],
    [{ guidance: NaN }, "guidance is NaN"],
    [{ clipSkip: 2 }, "clip skip 2 is out of range: this text encoder has 2 layers"],
    [{ scheduler: "ddim", originalSteps: 100 }, "originalSteps is LCM's training grid"],
  ] as const)("refuses %j", async (change, message) => {
    const pipeline = await pipelineOf({ model: "tiny-a" }, "f32");
    await expect(last(pipeline.generate({ ...SMALL, ...change }))).rejects.toThrow(message);
  });
});
