// A checkpoint in another form: planned here from headers alone, as the files to write; tensors stream when their turn comes,
// a chunk at a time. A folder is diffusers' form; a file keeps the names it has, or gets those that single files have.

import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import { subfolder, type Folder } from "../io/folder.js";
import { identify } from "../io/names/identify.js";
import { renameWeights } from "../io/names/renamed.js";
import { joinSingleFile, splitSingleFile } from "../io/names/single-file.js";
import { vaeTable } from "../io/names/vae.js";
import { safetensorsHeader } from "../io/safetensors-writer.js";
import { openWeights, openWeightsFolder, type WeightFile } from "../io/weight-files.js";
import {
  component,
  motionFile,
  PYTORCH,
  spelledLora,
  vaeFile,
  WEIGHTS,
  type ConvertedFile,
  type ConvertOptions,
  type Draft,
} from "./convert-parts.js";
import { tensorsOf } from "./convert-tensors.js";
import { modelIndex, schedulerConfig, textConfig, tokenizerFiles, unetConfig, vaeConfig } from "./diffusers-files.js";
import { checkLdmConfig, checkLdmConfigs } from "./ldm-configs.js";

/** A planned conversion. */
export interface Conversion {
  /** What is written, to follow "it becomes". */
  readonly description: string;
  readonly files: readonly ConvertedFile[];
  /** Bytes of all files. */
  readonly bytes: number;
  /** What is left out or worth knowing, one sentence each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/**
 * Plans a conversion.
 * @throws CheckpointError for what has no such form: what it is, and what it can become
 */
export async function planConversion(source: Folder | ByteSource, options: ConvertOptions): Promise<Conversion> {
  const open: WeightFile[] = [];
  const keep = <T extends WeightFile>(file: T): T => {
    open.push(file);
    return file;
  };
  const close = async (): Promise<void> => {
    await Promise.all(open.map((f) => f.close()));
  };
  try {
    const draft =
      "list" in source ? await ofFolder(source, options, keep) : await ofFile(keep(await openWeights(source)), options);
    const bytes = draft.files.reduce(
      (n, f) =>
        n + ("text" in f ? new TextEncoder().encode(f.text).length : safetensorsHeader(f.tensors, f.metadata).bytes),
      0,
    );
    return { notes: [], ...draft, bytes, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Keep = (file: WeightFile) => WeightFile;

async function ofFolder(folder: Folder, options: ConvertOptions, keep: Keep): Promise<Draft> {
  const paths = await folder.list();
  if (paths.includes("model_index.json"))
    return options.to === "file" ? toSingleFile(folder, options, keep) : rewritten(folder, paths, options, keep);
  const file = keep(await openWeightsFolder(folder));
  const { kind } = identify(file);
  // A component's folder is its file with a configuration beside it.
  if (options.to === "folder")
    return component(
      file,
      kind,
      paths.includes("config.json") ? await folder.readText("config.json") : undefined,
      options,
    );
  const single = kind === "motion" || kind === "vae" ? "original" : undefined;
  if (single && paths.includes("config.json"))
    checkLdmConfig(
      `${folder.name}/config.json`,
      await folder.readText("config.json"),
      kind === "vae" ? "vae/config.json" : "motion_adapter/config.json",
    );
  return ofFile(file, { ...options, ...(single && { names: options.names ?? single }) });
}

async function ofFile(file: WeightFile, options: ConvertOptions): Promise<Draft> {
  const { kind, description } = identify(file);
  if (kind === "sd15-single-file" && options.to === "folder") return toModelFolder(file, options);
  if (options.to === "folder") return component(file, kind, undefined, options);
  const { names } = options;
  if (kind === "lora" && names !== undefined) return spelledLora(file, names, options);
  if (kind === "motion" && names !== undefined) return motionFile(file, names, options);
  if (kind === "vae" && names !== undefined) return vaeFile(file, names, options);
  if (names !== undefined && !(kind === "sd15-single-file" && names === "original"))
    throw new CheckpointError(`${file.name} is ${description}, whose names stay as they are; leave out --names`);
  // The container alone changes: .ckpt, .bin and .pt to safetensors, shards to one file, another type.
  return {
    description: `${description}, its names as they are`,
    files: [
      {
        path: "",
        tensors: tensorsOf(file, options.dtype),
        metadata: file.format.includes("torch") ? PYTORCH : file.metadata,
      },
    ],
    notes: file.notes,
  };
}

/** Stable Diffusion's one file → a diffusers folder. */
async function toModelFolder(file: WeightFile, { names, dtype }: ConvertOptions): Promise<Draft> {
  if (names !== undefined && names !== "diffusers")
    throw new CheckpointError(`a folder has diffusers' names; --names ${names} is for files`);
  const { unet, vae, text, notes } = splitSingleFile(file);
  if (!vae || !text)
    throw new CheckpointError(
      `${file.name} has no ${vae ? "text encoder" : "VAE"}, which a diffusers folder wants; a model with all its parts does`,
    );
  const weights = (path: string, part: WeightFile): ConvertedFile => ({
    path,
    tensors: tensorsOf(part, dtype),
    metadata: PYTORCH,
  });
  const tokenizer = [...(await tokenizerFiles())].map(([name, content]) => ({
    path: `tokenizer/${name}`,
    text: content,
  }));
  return {
    description: "a Stable Diffusion 1.x model as a diffusers folder",
    files: [
      { path: "model_index.json", text: modelIndex() },
      { path: "scheduler/scheduler_config.json", text: schedulerConfig() },
      ...tokenizer,
      { path: "text_encoder/config.json", text: textConfig(text) },
      weights("text_encoder/model.safetensors", text),
      { path: "unet/config.json", text: unetConfig(unet) },
      weights(`unet/${WEIGHTS}`, unet),
      { path: "vae/config.json", text: vaeConfig(vae) },
      weights(`vae/${WEIGHTS}`, vae),
    ],
    notes,
  };
}

/** A diffusers folder → one file in LDM's names. */
async function toSingleFile(folder: Folder, { names, dtype }: ConvertOptions, keep: Keep): Promise<Draft> {
  if (names !== undefined && names !== "original")
    throw new CheckpointError(`one file with a whole model has the original names (LDM's); leave out --names ${names}`);
  await checkLdmConfigs(folder);
  const open = async (part: string): Promise<WeightFile> => keep(await openWeightsFolder(subfolder(folder, part)));
  const [vae, text, whole] = [await open("vae"), await open("text_encoder"), await open("unet")];
  const moving = [...whole.entries()].filter((e) => e.name.includes("motion_modules.")).length;
  const still = new Map(
    [...whole.entries()].filter((e) => !e.name.includes("motion_modules.")).map((e) => [e.name, { from: e.name }]),
  );
  const parts = {
    unet: moving > 0 ? renameWeights(whole, still) : whole,
    vae: renameWeights(vae, vaeTable(vae), vae.name),
    text,
  };
  const joined = joinSingleFile(parts);
  const tensors = joined.flatMap(({ name, part, from, shape }) =>
    tensorsOf(renameWeights(parts[part], new Map([[name, { from, shape }]])), dtype),
  );
  const aside = moving > 0 || (await folder.list()).some((p) => p.startsWith("motion_adapter/"));
  return {
    description: "a Stable Diffusion 1.x checkpoint in one file, in LDM's names",
    files: [{ path: "", tensors, metadata: PYTORCH }],
    notes: aside ? ["one file has no place for motion modules: they are left out; convert them by themselves"] : [],
  };
}

/** A diffusers folder with its weights in safetensors, in another type; other files are copied. */
async function rewritten(
  folder: Folder,
  paths: readonly string[],
  { names, dtype }: ConvertOptions,
  keep: Keep,
): Promise<Draft> {
  if (names !== undefined && names !== "diffusers")
    throw new CheckpointError(`a folder has diffusers' names; --names ${names} is for files`);
  const files: ConvertedFile[] = [];
  const parts = new Set(
    paths.filter((p) => /\.(safetensors|bin)$/.test(p) && p.includes("/")).map((p) => p.slice(0, p.lastIndexOf("/"))),
  );
  for (const part of parts) {
    const file = keep(await openWeightsFolder(subfolder(folder, part)));
    const name = paths.some((p) => p.startsWith(`${part}/diffusion_pytorch_model`)) ? WEIGHTS : "model.safetensors";
    files.push({ path: `${part}/${name}`, tensors: tensorsOf(file, dtype), metadata: PYTORCH });
  }
  for (const path of paths)
    if (/\.(json|txt|md)$/.test(path) && !path.endsWith(".index.json"))
      files.push({ path, text: await folder.readText(path) });
  return { description: "the same diffusers folder, its weights in safetensors", files };
}
