// A random model with Stable Diffusion 1.5's choices at the smallest widths that its 32 groups and 8 heads allow, in the forms
// that checkpoints have.

import { Device } from "../../src/gpu/device.js";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { joinSingleFile } from "../../src/io/names/single-file.js";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { safetensorsWeights } from "../../src/io/weight-files.js";
import { buildModels, type ModelConfigs } from "../../src/pipelines/build.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";

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

export type Part = "text" | "unet" | "vae" | "motion";
export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** The weights by part, in diffusers' names. */
export const parts: Readonly<Record<Part, Weight[]>> = { text: [], unet: [], vae: [], motion: [] };

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
invent();

/** Weights as the safetensors file that PyTorch writes. */
export function weightsFile(weights: readonly Weight[]): Uint8Array<ArrayBuffer> {
  return writeSafetensors(
    weights.map(({ name, shape, values }) => ({
      name,
      shape,
      dtype: "F32" as const,
      data: new Uint8Array(values.buffer),
    })),
    [["format", "pt"]],
  );
}

/** The model as a diffusers folder without a tokenizer, with its MotionAdapter or without. */
export function modelFolder(motion: boolean): Folder {
  const contents = new Map<string, Uint8Array | string>([
    ["model_index.json", '{"_class_name": "StableDiffusionPipeline"}'],
    ["unet/config.json", JSON.stringify(UNET)],
    ["unet/diffusion_pytorch_model.safetensors", weightsFile(parts.unet)],
    ["vae/config.json", JSON.stringify(VAE)],
    ["vae/diffusion_pytorch_model.safetensors", weightsFile(parts.vae)],
    ["text_encoder/config.json", JSON.stringify(TEXT)],
    ["text_encoder/model.safetensors", weightsFile(parts.text)],
  ]);
  if (motion) {
    contents.set("motion_adapter/config.json", JSON.stringify(MOTION));
    contents.set("motion_adapter/diffusion_pytorch_model.safetensors", weightsFile(parts.motion));
  }
  return memoryFolder("model", contents);
}

/** The base model in one file, in LDM's names. */
export async function singleFile(): Promise<ByteSource> {
  const open = async (part: "text" | "unet" | "vae") =>
    safetensorsWeights(await openSafetensors(memorySource(part, weightsFile(parts[part]))));
  const entries = joinSingleFile({ text: await open("text"), unet: await open("unet"), vae: await open("vae") });
  const values = new Map(
    (["text", "unet", "vae"] as const).flatMap((p) => parts[p].map((w) => [`${p} ${w.name}`, w.values] as const)),
  );
  return memorySource(
    "model.safetensors",
    weightsFile(
      entries.map(({ name, part, from, shape }) => ({ name, shape, values: values.get(`${part} ${from}`)! })),
    ),
  );
}

/** CLIP's own vocabulary as a tokenizer folder would take megabytes: a single file brings it by itself. */
export async function withVocabulary(model: Folder): Promise<Folder> {
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
