// The files of a text-to-video model, opened: configurations, tokenizer, and one source of weights per network. Reads
// headers only; weights stream when the networks load.

import { CheckpointError } from "../io/errors.js";
import { subfolder, type Folder } from "../io/folder.js";
import { headerHash } from "../io/header-hash.js";
import { joinWeights, openWeightsFolder, type WeightFile } from "../io/weight-files.js";
import type { ByteSource } from "../io/byte-source.js";
import { CLIPTokenizer, type CLIPTokenizerFiles } from "../models/clip/tokenizer.js";
import { parseSchedulerConfig, type SchedulerConfig } from "../schedulers/index.js";
import type { ModelConfigs, NamedConfig } from "./build.js";

/** Where a model comes from. */
export interface ModelSources {
  /** A diffusers folder (model_index.json). */
  readonly model: Folder | ByteSource;
  /** A MotionAdapter folder; default: the model's own, where it has one. */
  readonly motion?: Folder | ByteSource | undefined;
  readonly vae?: Folder | ByteSource | undefined;
  readonly tokenizer?: Folder | undefined;
}

/** A model's files, opened. */
export interface ModelFiles {
  readonly name: string;
  readonly motionName: string | undefined;
  readonly configs: ModelConfigs;
  readonly scheduler: SchedulerConfig;
  readonly tokenizer: CLIPTokenizer;
  readonly weights: { readonly text: WeightFile; readonly unet: WeightFile; readonly vae: WeightFile };
  /** sha256 over names, types and shapes of each file's tensors. */
  readonly hashes: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Pipelines whose folders hold Stable Diffusion 1.x networks; others are refused by their own name. */
const FAMILIES = /^(StableDiffusion|AnimateDiff)(?!.*(XL|3|Upscale|Inpaint|InstructPix2Pix|LatentUpscale))/;

/** Opens a model. @throws CheckpointError naming the file, what was expected there and the cure */
export async function openModel(sources: ModelSources): Promise<ModelFiles> {
  const open: WeightFile[] = [];
  const keep = async (file: Promise<WeightFile>): Promise<WeightFile> => {
    const f = await file;
    open.push(f);
    return f;
  };
  const close = async (): Promise<void> => {
    await Promise.all(open.map((f) => f.close()));
  };
  try {
    const model = folderOf(sources.model, "model");
    await checkFamily(model);
    const [textDir, unetDir] = [subfolder(model, "text_encoder"), subfolder(model, "unet")];
    const vaeDir = sources.vae ? folderOf(sources.vae, "VAE") : subfolder(model, "vae");
    const own = (await model.list()).some((p) => p === "motion_adapter/config.json")
      ? subfolder(model, "motion_adapter")
      : undefined;
    const motionDir = sources.motion ? folderOf(sources.motion, "motion module") : own;
    const unetConfig = await config(unetDir);
    const motionConfig = motionDir && (await config(motionDir));
    const configs: ModelConfigs = {
      text: await config(textDir),
      unet: unetConfig,
      vae: await config(vaeDir),
      ...(motionConfig && { motion: motionConfig }),
    };
    const text = await keep(openWeightsFolder(textDir));
    const vae = await keep(openWeightsFolder(vaeDir));
    const unetOnly = await keep(openWeightsFolder(unetDir));
    const motion = motionDir && (await keep(openWeightsFolder(motionDir)));
    const unet = motion
      ? joinWeights(`${unetOnly.name} with ${motion.name}`, [withoutMotion(unetOnly), motion])
      : unetOnly;
    return {
      name: model.name,
      motionName: motionDir?.name ?? (unetConfig.json["_class_name"] === "UNetMotionModel" ? unetDir.name : undefined),
      configs,
      scheduler: await schedulerConfig(model),
      tokenizer: await tokenizer(sources.tokenizer ?? subfolder(model, "tokenizer")),
      weights: { text, unet, vae },
      hashes: {
        text: await headerHash(text),
        unet: await headerHash(unetOnly),
        vae: await headerHash(vae),
        ...(motion && { motion: await headerHash(motion) }),
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function folderOf(source: Folder | ByteSource, what: string): Folder {
  if ("list" in source) return source;
  throw new CheckpointError(
    `${source.name}: a ${what} in a single file cannot be read yet; give the folder in diffusers' layout (config.json beside the weights)`,
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

/** A UNetMotionModel's file without its motion modules, where another motion file replaces them. */
function withoutMotion(file: WeightFile): WeightFile {
  const isMotion = (name: string) => name.includes("motion_modules.");
  return {
    ...file,
    *entries() {
      for (const e of file.entries()) if (!isMotion(e.name)) yield e;
    },
    has: (name) => !isMotion(name) && file.has(name),
  };
}

function config(folder: Folder): Promise<NamedConfig> {
  return readJson(folder, "config.json");
}

async function readJson(folder: Folder, path: string): Promise<NamedConfig> {
  const name = `${folder.name}/${path}`;
  const text = await folder.readText(path);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${name} is not valid JSON: download it again`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new CheckpointError(`${name} should be a JSON object`);
  return { name, json: json as Record<string, unknown> };
}

async function schedulerConfig(model: Folder): Promise<SchedulerConfig> {
  const path = "scheduler/scheduler_config.json";
  return (await model.list()).includes(path) ? parseSchedulerConfig(await model.readText(path)) : {};
}

async function tokenizer(folder: Folder): Promise<CLIPTokenizer> {
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
