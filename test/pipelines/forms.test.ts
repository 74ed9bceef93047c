// One random model in every form that people's checkpoints have gives the same frames, bit for bit in f32.

import { beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../src/gpu/device.js";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { originalMotionNames } from "../../src/io/names/motion.js";
import { joinSingleFile } from "../../src/io/names/single-file.js";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { safetensorsWeights } from "../../src/io/weight-files.js";
import { buildModels, type ModelConfigs } from "../../src/pipelines/build.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";

import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { testDevice } from "../support/device.js";

/** Stable Diffusion 1.5's choices at the smallest widths that its 32 groups and 8 heads allow. */
const UNET = {
  sample_size: 4,
  block_out_channels: [32, 64],
  layers_per_block: 1,
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D"],
  cross_attention_dim: 64,
  attention_head_dim: 8,
};
const VAE = { block_out_channels: [32, 32], layers_per_block: 1, latent_channels: 4 };
const TEXT = {
  vocab_size: 49408,
  hidden_size: 64,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const MOTION = { block_out_channels: [32, 64], motion_layers_per_block: 1, motion_max_seq_length: 64 };
const CONFIGS: ModelConfigs = {
  text: { name: "text", json: TEXT },
  unet: { name: "unet", json: UNET },
  vae: { name: "vae", json: VAE },
  motion: { name: "motion", json: MOTION },
};

type Part = "text" | "unet" | "vae" | "motion";
interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

let device: Device;
const parts: Record<Part, Weight[]> = { text: [], unet: [], vae: [], motion: [] };
let reference: Uint8Array;

/** Random weights under the names and shapes that the networks ask for. */
function invent(): void {
  using dry = Device.dry();
  const { stores } = buildModels(dry, CONFIGS, { storage: { weights: "f32" }, encoder: true });
  const generator = new TorchGenerator(1);
  for (const part of ["text", "unet", "vae"] as const)
    for (const { name, shape } of stores[part].wanted()) {
      const n = shape.reduce((a, b) => a * b, 1);
      const fan = shape.length > 1 ? n / shape[0]! : 1;
      const norm = /norm.*\.weight$|conv_norm_out\.weight$/.test(name) ? 1 : 0;
      const scale = shape.length > 1 ? 0.7 / Math.sqrt(fan) : 0.1;
      const values = generator.randn(n).map((v) => norm + v * scale);
      parts[name.includes("motion_modules.") ? "motion" : part].push({ name, shape, values });
    }
}

function file(weights: readonly Weight[]): Uint8Array {
  return writeSafetensors(
    weights.map(({ name, shape, values }) => ({
      name,
      shape,
      dtype: "F32" as const,
      data: new Uint8Array(values.buffer),
    })),
  );
}

function folder(motion: boolean): Folder {
  const contents = new Map<string, Uint8Array | string>([
    ["model_index.json", '{"_class_name": "StableDiffusionPipeline"}'],
    ["unet/config.json", JSON.stringify(UNET)],
    ["unet/diffusion_pytorch_model.safetensors", file(parts.unet)],
    ["vae/config.json", JSON.stringify(VAE)],
    ["vae/diffusion_pytorch_model.safetensors", file(parts.vae)],
    ["text_encoder/config.json", JSON.stringify(TEXT)],
    ["text_encoder/model.safetensors", file(parts.text)],
  ]);
  if (motion) {
    contents.set("motion_adapter/config.json", JSON.stringify(MOTION));
    contents.set("motion_adapter/diffusion_pytorch_model.safetensors", file(parts.motion));
  }
  return memoryFolder("model", contents);
}

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

/** The base model in one file, in LDM's names. */
async function singleFile(): Promise<ByteSource> {
  const open = async (part: "text" | "unet" | "vae") =>
    safetensorsWeights(await openSafetensors(memorySource(part, file(parts[part]))));
  const entries = joinSingleFile({ text: await open("text"), unet: await open("unet"), vae: await open("vae") });
  const values = new Map(
    (["text", "unet", "vae"] as const).flatMap((p) => parts[p].map((w) => [`${p} ${w.name}`, w.values] as const)),
  );
  return memorySource(
    "model.safetensors",
    file(entries.map(({ name, part, from, shape }) => ({ name, shape, values: values.get(`${part} ${from}`)! }))),
  );
}

/** The motion modules in AnimateDiff's own names, without positional encodings, as AnimateLCM was published. */
function originalMotion(prefix = ""): ByteSource {
  return memorySource(
    "AnimateLCM.safetensors",
    file(parts.motion.map((w) => ({ ...w, name: prefix + originalMotionNames(w.name)[0]! }))),
  );
}

const adapter = () => memorySource("adapter.safetensors", file(parts.motion));

beforeAll(async () => {
  device = await testDevice();
  invent();
  reference = await frames({ model: await withVocabulary(folder(true)) });
  expect(new Set(reference).size).toBeGreaterThan(50);
});

/** CLIP's own vocabulary as a tokenizer folder would take megabytes: a single file brings it by itself. */
async function withVocabulary(model: Folder): Promise<Folder> {
  const { CLIPTokenizer } = await import("../../src/models/clip/tokenizer.js");
  const tokenizer = await CLIPTokenizer.openai();
  const words = ["a</w>", "cat</w>"];
  const vocab = Object.fromEntries([
    ...words.map((w) => [w, tokenizer.tokenIds(w.slice(0, -4))[0]!] as const),
    ["<|startoftext|>", tokenizer.bosTokenId],
    ["<|endoftext|>", tokenizer.eosTokenId],
    ...["c", "a", "t</w>", "at</w>"].map((t, i) => [t, 40_000 + i] as const),
  ]);
  return {
    ...model,
    list: async () => [...(await model.list()), "tokenizer/vocab.json", "tokenizer/merges.txt"],
    readText: async (path) => {
      if (path === "tokenizer/vocab.json") return JSON.stringify(vocab);
      if (path === "tokenizer/merges.txt") return "#version: 0.2\na t</w>\nc at</w>\n";
      return model.readText(path);
    },
  };
}

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
    const vae = memorySource("vae.safetensors", file(parts.vae));
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
      () => ({ model: folder(true), motion: memorySource("vae.safetensors", file(parts.vae)) }),
      /vae\.safetensors holds no motion modules .*VAE/,
    ],
    [
      "a UNet as a VAE",
      () => ({ model: folder(true), vae: memorySource("unet.safetensors", file(parts.unet)) }),
      /unet\.safetensors is no VAE: it is .*UNet/,
    ],
    [
      "a VAE as a LoRA",
      () => ({ model: folder(true), loras: [{ source: memorySource("vae.safetensors", file(parts.vae)), weight: 1 }] }),
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
