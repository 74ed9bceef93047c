// LoRAs in a pipeline: stacks, negative weights, DoRA and motion LoRAs against diffusers and peft
// (test/reference/pipelines_lora.py), and other stacks on a loaded model, bit for bit.

import { readFileSync } from "node:fs";
import { mkdtemp, rm, utimes, copyFile, cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFile, openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { LoraSource } from "../../src/pipelines/loras.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends GenerateOptions {
  readonly lora: readonly { readonly file: string; readonly weight: number }[];
}

const RUN: GenerateOptions = { prompt: "a red circle", frames: 3, width: 32, height: 24, steps: 1 };

let device: Device;
let fixture: Fixture;
/** tiny-a in f32, whose LoRAs change from test to test. */
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-lora.safetensors");
  pipeline = await load([]);
});
afterAll(() => pipeline.dispose());

function lora(file: string, weight: number): LoraSource {
  return { source: memorySource(file, readFileSync(fixturePath(`lora/${file}`))), weight };
}

async function load(loras: readonly LoraSource[], precision: "f32" | "f16" = "f32"): Promise<AnimateDiffPipeline> {
  return (await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), loras, precision })).pipeline;
}

async function latents(p: AnimateDiffPipeline, options: GenerateOptions = RUN): Promise<Float32Array> {
  for await (const e of p.generate(options)) if (e.type === "frames") return e.latents;
  throw new Error("no frames");
}

describe("LoRA stacks", () => {
  it("make diffusers' latents in f32, in every case", async () => {
    const cases = Object.entries(fixture.json<Record<string, Case>>("cases"));
    expect(cases.map(([name]) => name)).toEqual(["stack", "opposite", "dora", "dora-half", "dora-stack", "motion"]);
    const distances: Record<string, number> = {};
    for (const [name, { lora: stack, ...options }] of cases) {
      await pipeline.setLoras(stack.map(({ file, weight }) => lora(file, weight)));
      distances[name] = relativeL2(await latents(pipeline, options), await fixture.values(`${name}.latents`));
    }
    expect(Math.max(...Object.values(distances)), JSON.stringify(distances)).toBeLessThan(1e-4);
  });

  it("DoRA in kohya's spelling is the same, bit for bit", async () => {
    await pipeline.setLoras([lora("dora.safetensors", 0.7)]);
    const diffusers = await latents(pipeline);
    await pipeline.setLoras([lora("dora-kohya.safetensors", 0.7)]);
    expect(await latents(pipeline)).toEqual(diffusers);
  });
});

describe("setLoras", () => {
  it.each(["f32", "f16"] as const)("leaves no trace of what it replaces, %s", async (precision) => {
    if (precision === "f16" && !device.capabilities.f16) return;
    const stack = [
      lora("dora.safetensors", 0.5),
      lora("attention.safetensors", -1.5),
      lora("dora-text.safetensors", 1),
    ];
    using changing = await load([], precision);
    const bare = await latents(changing);
    const { used } = device.memory;
    await changing.setLoras(stack);
    const merged = await latents(changing);
    expect(merged).not.toEqual(bare);
    const fresh = await load(stack, precision);
    expect(merged).toEqual(await latents(fresh));
    // A weight of 0 takes a LoRA away as leaving it out does.
    const [info] = await fresh.setLoras([lora("dora.safetensors", 0)]);
    expect(info).toMatchObject({ name: "dora.safetensors", weight: 0 });
    expect(await latents(fresh)).toEqual(bare);
    fresh.dispose();
    await changing.setLoras([]);
    expect(await latents(changing)).toEqual(bare);
    // The pool may hand out buffers a little larger than asked for.
    expect(device.memory.used).toBeLessThan(used * 1.01);
  });

  it("recovers from a stack that does not fit, and from a cancelled change", async () => {
    await pipeline.setLoras([]);
    const bare = await latents(pipeline);
    await expect(
      pipeline.setLoras([
        { source: memorySource("x.safetensors", readFileSync(fixturePath("pipelines-lora.safetensors"))), weight: 1 },
      ]),
    ).rejects.toThrow("x.safetensors");
    await expect(pipeline.setLoras([lora("dora.safetensors", Number.NaN)])).rejects.toThrow(
      "the weight of dora.safetensors is NaN",
    );
    expect(await latents(pipeline)).toEqual(bare);
    const controller = new AbortController();
    const cancelled = pipeline.setLoras([lora("dora.safetensors", 1)], {
      signal: controller.signal,
      onProgress: ({ loadedBytes, totalBytes }) => {
        if (loadedBytes > totalBytes / 2) controller.abort(new Error("enough"));
      },
    });
    // Neither a run nor another change goes between.
    await expect(latents(pipeline)).rejects.toThrow("generate: setLoras is changing the weights");
    await expect(pipeline.setLoras([])).rejects.toThrow("setLoras: another change of LoRAs is going on");
    await expect(cancelled).rejects.toThrow("enough");
    await expect(latents(pipeline)).rejects.toThrow("generate: setLoras did not come to its end");
    await pipeline.setLoras([]);
    expect(await latents(pipeline)).toEqual(bare);
  });

  it("waits for nothing: it refuses while a run is going on", async () => {
    const run = pipeline.generate(RUN);
    const first = run.next();
    await expect(pipeline.setLoras([])).rejects.toThrow("setLoras: a run is going on");
    await first;
    await expect(pipeline.setLoras([])).rejects.toThrow("setLoras: a run is going on");
    await run.return();
    await pipeline.setLoras([]);
  });

  it("opens files on a disk again, and refuses those that changed", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kineograph-"));
    try {
      await cp(fixturePath("tiny-a"), join(folder, "model"), { recursive: true });
      await copyFile(fixturePath("lora/attention.safetensors"), join(folder, "a.safetensors"));
      const source = await openFile(join(folder, "a.safetensors"));
      const model = await openFolder(join(folder, "model"));
      const { pipeline: p } = await loadPipeline(device, { model, loras: [{ source, weight: 1 }], precision: "f32" });
      const before = await latents(p);
      await p.setLoras([]);
      await p.setLoras([{ source, weight: 1 }]);
      expect(await latents(p)).toEqual(before);
      await utimes(join(folder, "model/unet/diffusion_pytorch_model.safetensors"), 1, 1);
      await expect(p.setLoras([])).rejects.toThrow("was changed since it was opened; load the model again");
      p.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
