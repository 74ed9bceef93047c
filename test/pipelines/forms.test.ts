// One random model in every form that people's checkpoints have gives the same frames, bit for bit in f32.

import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { originalMotionNames } from "../../src/io/names/motion.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";
import { testDevice } from "../support/device.js";
import { modelFolder, parts, singleFile, weightsFile, withVocabulary } from "../support/small-model.js";

let device: Device;
let reference: Uint8Array;

async function frames(options: Omit<LoadOptions, "precision">, norm: "joint" | "frame" = "joint"): Promise<Uint8Array> {
  const { pipeline } = await loadPipeline(device, { ...options, precision: "f32" });
  try {
    for await (const e of pipeline.generate({
      prompt: "a cat",
      frames: 3,
      width: 16,
      height: 8,
      steps: 2,
      motionNorm: norm,
    }))
      if (e.type === "frames") return e.frames.rgba;
    throw new Error("no frames");
  } finally {
    pipeline.dispose();
  }
}

/** The motion modules in AnimateDiff's own names, without positional encodings, as AnimateLCM was published. */
function originalMotion(prefix = ""): ByteSource {
  return memorySource(
    "AnimateLCM.safetensors",
    weightsFile(parts.motion.map((w) => ({ ...w, name: prefix + originalMotionNames(w.name)[0]! }))),
  );
}

const adapter = () => memorySource("adapter.safetensors", weightsFile(parts.motion));

beforeAll(async () => {
  device = await testDevice();
  reference = await frames({ model: await withVocabulary(modelFolder(true)) });
  expect(new Set(reference).size).toBeGreaterThan(50);
});

describe("the same frames from", () => {
  it("a checkpoint in one file with an adapter in one file", async () => {
    expect(Buffer.compare(await frames({ model: await singleFile(), motion: adapter() }), reference)).toBe(0);
  });

  it.each(["", "module."])("motion modules in AnimateDiff's names, prefix %j", async (prefix) => {
    expect(Buffer.compare(await frames({ model: await singleFile(), motion: originalMotion(prefix) }), reference)).toBe(
      0,
    );
  });

  it("a VAE file in diffusers' names in place of the checkpoint's", async () => {
    const vae = memorySource("vae.safetensors", weightsFile(parts.vae));
    expect(Buffer.compare(await frames({ model: await singleFile(), motion: adapter(), vae }), reference)).toBe(0);
  });
});

it("original motion files normalise each frame by themselves unless told otherwise", async () => {
  const { pipeline } = await loadPipeline(device, {
    model: await singleFile(),
    motion: originalMotion(),
    precision: "f32",
  });
  expect(pipeline.limits.motionNorm).toBe("frame");
  pipeline.dispose();
});

describe("files in the wrong place are named", () => {
  it.each([
    [
      "motion modules as a model",
      () => ({ model: adapter() }),
      /adapter\.safetensors is motion modules|adapter\.safetensors is .*motion/,
    ],
    [
      "a VAE as motion modules",
      () => ({ model: modelFolder(true), motion: memorySource("vae.safetensors", weightsFile(parts.vae)) }),
      /vae\.safetensors holds no motion modules .*VAE/,
    ],
    [
      "a UNet as a VAE",
      () => ({ model: modelFolder(true), vae: memorySource("unet.safetensors", weightsFile(parts.unet)) }),
      /unet\.safetensors is no VAE: it is .*UNet/,
    ],
    [
      "a VAE as a LoRA",
      () => ({
        model: modelFolder(true),
        loras: [{ source: memorySource("vae.safetensors", weightsFile(parts.vae)), weight: 1 }],
      }),
      /vae\.safetensors is no LoRA: it is .*VAE/,
    ],
  ])("%s", async (_, options, message) => {
    const before = device.memory.used;
    const given = options() as LoadOptions;
    const model = "list" in given.model ? await withVocabulary(given.model) : given.model;
    await expect(loadPipeline(device, { ...given, model })).rejects.toThrow(message);
    expect(device.memory.used).toBe(before);
  });
});
