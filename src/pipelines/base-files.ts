// A base model's files, in the two shapes people have: a diffusers folder, or one checkpoint file in LDM's names. Both
// become the same three networks with their configurations.

import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import { readJson, subfolder, type Folder } from "../io/folder.js";
import { identify } from "../io/names/identify.js";
import { splitSingleFile } from "../io/names/single-file.js";
import { openWeights, openWeightsFolder, type WeightFile } from "../io/weight-files.js";
import { CLIPTokenizer, type CLIPTokenizerFiles } from "../models/clip/tokenizer.js";
import { parseSchedulerConfig, type SchedulerConfig } from "../schedulers/index.js";
import type { NamedConfig } from "./build.js";
import { inferTextConfig, inferUNetConfig, inferVAEConfig } from "./infer-config.js";

/** One network's files. */
export interface Component {
  readonly config: NamedConfig;
  readonly weights: WeightFile;
}

/** A base model, opened. A part that a single file lacks is undefined. */
export interface BaseModel {
  readonly name: string;
  readonly unet: Component;
  readonly text: Component | undefined;
  readonly vae: Component | undefined;
  /** A MotionAdapter folder inside the model's own. */
  readonly motion: Folder | undefined;
  readonly scheduler: SchedulerConfig;
  readonly tokenizer: CLIPTokenizer;
  /** What was left out, one sentence each. */
  readonly notes: readonly string[];
}

/** Pipelines whose folders hold Stable Diffusion 1.x networks; others are refused by their own name. */
const FAMILIES = /^(StableDiffusion|AnimateDiff)(?!.*(XL|3|Upscale|Inpaint|InstructPix2Pix|LatentUpscale))/;

/** Opens a diffusers folder (model_index.json). @throws CheckpointError naming the file, what was expected and the cure */
export async function openDiffusersFolder(
  model: Folder,
  own: { readonly tokenizer: boolean; readonly vae: boolean },
): Promise<BaseModel> {
  await checkFamily(model);
  const paths = await model.list();
  const unet = await openComponent(subfolder(model, "unet"));
  try {
    checkUNet(model.name, unet.config.json);
  } catch (error) {
    await unet.weights.close();
    throw error;
  }
  return {
    name: model.name,
    unet,
    text: await openComponent(subfolder(model, "text_encoder")),
    vae: own.vae ? await openComponent(subfolder(model, "vae")) : undefined,
    motion: paths.includes("motion_adapter/config.json") ? subfolder(model, "motion_adapter") : undefined,
    scheduler: await schedulerConfig(model),
    tokenizer: own.tokenizer ? await openTokenizer(subfolder(model, "tokenizer")) : await CLIPTokenizer.openai(),
    notes: [],
  };
}

/** Opens a checkpoint of Stable Diffusion 1.5 in one file. @throws CheckpointError that says what the file is instead */
export async function openSingleFile(source: ByteSource): Promise<BaseModel> {
  const file = await openWeights(source);
  const { kind, description } = identify(file);
  if (kind !== "sd15-single-file") {
    await file.close();
    throw new CheckpointError(
      `${source.name} is ${description}; a model is a checkpoint of Stable Diffusion 1.5 in one file, or a folder in diffusers' layout`,
    );
  }
  const parts = splitSingleFile(file);
  return {
    name: source.name,
    unet: { config: inferUNetConfig(parts.unet), weights: parts.unet },
    text: parts.text && { config: inferTextConfig(parts.text), weights: parts.text },
    vae: parts.vae && { config: inferVAEConfig(parts.vae), weights: parts.vae },
    motion: undefined,
    scheduler: {},
    tokenizer: await CLIPTokenizer.openai(),
    notes: parts.notes,
  };
}

/** A component's folder: config.json beside the weights. */
export async function openComponent(folder: Folder): Promise<Component> {
  return { config: await readJson(folder, "config.json"), weights: await openWeightsFolder(folder) };
}

/** @throws CheckpointError for UNets of other models that share the class of the pipeline */
function checkUNet(model: string, json: Readonly<Record<string, unknown>>): void {
  const channels = json["in_channels"] ?? 4;
  const what =
    channels === 9
      ? "an inpainting model (its UNet takes 9 channels)"
      : channels === 8
        ? "an InstructPix2Pix model (its UNet takes 8 channels)"
        : json["cross_attention_dim"] === 1024
          ? "a Stable Diffusion 2 model"
          : json["cross_attention_dim"] === 2048
            ? "an SDXL model"
            : undefined;
  if (what !== undefined)
    throw new CheckpointError(
      `${model} is ${what}; AnimateLCM works with Stable Diffusion 1.5 models for text to image`,
    );
}

async function checkFamily(model: Folder): Promise<void> {
  const paths = await model.list();
  if (!paths.includes("model_index.json")) {
    const hint = paths.includes("config.json")
      ? "; this looks like one component of a model: give the folder above it"
      : "";
    throw new CheckpointError(`${model.name} has no model_index.json, so it is no diffusers model folder${hint}`);
  }
  const { json } = await readJson(model, "model_index.json");
  const family = String(json["_class_name"]);
  if (!FAMILIES.test(family))
    throw new CheckpointError(
      `${model.name} is made for ${family}; AnimateLCM works with Stable Diffusion 1.5 models (StableDiffusionPipeline, AnimateDiffPipeline)`,
    );
}

async function schedulerConfig(model: Folder): Promise<SchedulerConfig> {
  const path = "scheduler/scheduler_config.json";
  return (await model.list()).includes(path) ? parseSchedulerConfig(await model.readText(path)) : {};
}

/** A tokenizer folder: vocab.json, merges.txt and what says how to pad. */
export async function openTokenizer(folder: Folder): Promise<CLIPTokenizer> {
  const paths = await folder.list();
  const optional = async (path: string) => (paths.includes(path) ? (await readJson(folder, path)).json : undefined);
  const [tokenizerConfig, specialTokensMap] = [
    await optional("tokenizer_config.json"),
    await optional("special_tokens_map.json"),
  ];
  const { json: vocab } = await readJson(folder, "vocab.json");
  return CLIPTokenizer.fromFiles({
    vocab: vocab as CLIPTokenizerFiles["vocab"],
    merges: await folder.readText("merges.txt"),
    ...(tokenizerConfig && { config: tokenizerConfig }),
    ...(specialTokensMap && { specialTokensMap }),
  });
}
