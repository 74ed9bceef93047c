// Loading: a model's files to a pipeline on a device, LoRAs merged on the way.

import type { Device } from "../gpu/device.js";
import type { Patch, WeightSource, WeightStore } from "../nn/weights.js";
import { AnimateDiffPipeline } from "./animatediff.js";
import { checkTogether } from "./control/image.js";
import { buildModels } from "./build.js";
import { openEmbeddings, type EmbeddingInfo, type EmbeddingSource } from "./embeddings.js";
import { openLoras, type LoraInfo, type LoraSource } from "./loras.js";
import { openModel, type ModelFiles, type ModelSources } from "./model-files.js";
import type { GenerateOptions } from "./options.js";
import { shadersOf } from "./plan.js";
import { LoraStack } from "./swap-loras.js";

/** What to load, and how. */
export interface LoadOptions extends ModelSources {
  /** Merged into the weights, in f32, in the order given. */
  readonly loras?: readonly LoraSource[];
  /** Textual-inversion embeddings: usable in prompts by their names. */
  readonly embeddings?: readonly EmbeddingSource[];
  /** Storage of activations; default f16 where the device can compute with it. */
  readonly precision?: "f32" | "f16";
  /**
   * Storage of weights; default that of activations. int8 keeps the UNet's matrices as 8-bit codes with a scale for every
   * 64 inputs of a column, in half the memory of f16.
   */
  readonly weights?: "f32" | "f16" | "int8";
  /**
   * Keeps the UNet's weights on the host and uploads them layer by layer in every evaluation: the same frames in a fraction
   * of the memory, more slowly. Default false.
   */
  readonly lowMemory?: boolean;
  /** Default: "joint" for diffusers' adapters, "frame" for original files. */
  readonly motionNorm?: "joint" | "frame";
  /** Loads the VAE's encoder too (for video to video); default false. */
  readonly encoder?: boolean;
  /** The run to come: what it needs of the GPU's compiler is done while the weights are read. Nothing else depends on it. */
  readonly firstRun?: GenerateOptions;
  /**
   * Whether the run to come has a picture to animate, where that is known: a motion file that does not go with it is refused
   * before weights are read.
   */
  readonly animates?: boolean;
  readonly onProgress?: (p: LoadStage) => void;
  readonly signal?: AbortSignal;
}

/** How far loading is, over all networks. */
export interface LoadStage {
  readonly stage: "text encoder" | "unet" | "vae" | "image encoder";
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

/** One network's loading. */
interface Stage {
  readonly name: LoadStage["stage"];
  readonly store: WeightStore;
  readonly file: WeightSource;
  readonly patch: Patch | undefined;
}

/** What was loaded. */
export interface ModelInfo {
  readonly model: string;
  readonly motion: string | undefined;
  readonly loras: readonly LoraInfo[];
  readonly embeddings: readonly EmbeddingInfo[];
  readonly parameters: { readonly text: number; readonly unet: number; readonly motion: number; readonly vae: number };
  /** Bytes of weights, on the device or (the text encoder's and the VAE's while they rest, streamed ones) on the host. */
  readonly weightBytes: number;
  readonly warnings: readonly string[];
  /** sha256 of each file's header, by network. */
  readonly hashes: Readonly<Record<string, string>>;
}

export interface LoadedPipeline {
  readonly pipeline: AnimateDiffPipeline;
  readonly info: ModelInfo;
}

/**
 * Loads a model.
 * @throws CheckpointError or Error naming the file that does not fit, what was expected and the cure; nothing stays on
 * the device then
 */
export async function loadPipeline(device: Device, options: LoadOptions): Promise<LoadedPipeline> {
  const files = await openModel(options);
  try {
    return await load(device, files, options);
  } finally {
    await files.close();
  }
}

async function load(device: Device, files: ModelFiles, options: LoadOptions): Promise<LoadedPipeline> {
  const { signal } = options;
  const dtype = options.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  if (dtype === "f16" && !device.capabilities.f16)
    throw new Error(
      `precision f16 wants the WebGPU feature shader-f16, which this adapter (${device.capabilities.name}) lacks; use f32`,
    );
  if (options.animates !== undefined) {
    const encoder = files.weights.image && (files.motionName ?? files.name);
    checkTogether(options.animates, encoder, files.motionName);
  }
  const weights = options.weights ?? dtype;
  const models = buildModels(device, files.configs, {
    storage: { weights, lowMemory: options.lowMemory ?? false },
    encoder: options.encoder ?? files.weights.image !== undefined,
    unetWeights: files.weights.unet,
    imageWeights: files.weights.image,
  });
  const { stores } = models;
  const dispose = () => {
    for (const store of Object.values(stores)) store.dispose();
  };
  const { embeddings, info: embeddingInfo } = await openEmbeddings(options.embeddings ?? [], {
    width: models.text.config.hiddenSize,
    room: files.tokenizer.modelMaxLength - 2,
  });
  const loras = await openLoras(device, options.loras ?? [], stores);
  let contents: Readonly<Record<string, string>>;
  try {
    const { text, unet, vae, image } = files.weights;
    // The UNet comes last: what rests on the host is there before it takes the memory.
    const stages: readonly Stage[] = [
      { name: "text encoder", store: stores.text, file: text, patch: loras.patch("text") },
      { name: "vae", store: stores.vae, file: vae, patch: loras.patch("vae") },
      ...(image ? [{ name: "image encoder" as const, store: stores.image, file: image, patch: undefined }] : []),
      { name: "unet", store: stores.unet, file: unet, patch: loras.patch("unet") },
    ];
    for (const { store, file } of stages) store.check(file);
    if (options.firstRun) compileAhead(device, files, dtype, options.firstRun, options);
    contents = await files.identity();
    const totalBytes = stages.reduce((n, { store, file }) => n + store.bytesIn(file), 0);
    let done = 0;
    for (const { name, store, file, patch } of stages) {
      await store.load(file, {
        ...(patch && { patch }),
        onProgress: (p) => options.onProgress?.({ stage: name, loadedBytes: done + p.loadedBytes, totalBytes }),
        ...(signal && { signal }),
      });
      await store.rest();
      done += store.bytesIn(file);
    }
  } catch (error) {
    dispose();
    throw error;
  } finally {
    await loras.close();
  }
  const identity = {
    ...contents,
    embeddings: embeddingInfo.map((e) => [e.names, e.content]),
    precision: dtype,
    "storage of weights": weights,
  };
  const motion = stores.unet.count((name) => name.includes("motion_modules."));
  const pipeline = new AnimateDiffPipeline({
    device,
    dtype,
    tokenizer: files.tokenizer,
    embeddings,
    text: models.text,
    unet: models.unet,
    vae: models.vae,
    scheduler: files.scheduler,
    maxFrames: models.maxFrames,
    motionNorm: options.motionNorm ?? files.motionNorm,
    loras: new LoraStack(device, files, stores, loras),
    identity,
    motionName: files.motionName,
    imageEncoder: models.imageEncoder && {
      name: files.motionName ?? files.name,
      model: models.imageEncoder,
      store: stores.image,
    },
    dispose,
  });
  const still = `${files.name} has no motion module: the frames will be unrelated pictures; give one with --motion`;
  const warnings = models.maxFrames === undefined ? [still, ...files.notes] : files.notes;
  return {
    pipeline,
    info: {
      model: files.name,
      motion: files.motionName,
      loras: loras.info,
      embeddings: embeddingInfo,
      parameters: {
        text: stores.text.parameters,
        unet: stores.unet.parameters - motion,
        motion,
        vae: stores.vae.parameters,
      },
      weightBytes: stores.text.bytes + stores.unet.bytes + stores.vae.bytes,
      warnings,
      hashes: files.hashes,
    },
  };
}

/** Has the shaders of loading and of the run to come compiled. A run that cannot work says so when it is asked for. */
function compileAhead(
  device: Device,
  { configs, weights, tokenizer, motionNorm }: ModelFiles,
  precision: "f32" | "f16",
  run: GenerateOptions,
  options: LoadOptions,
): void {
  const how = {
    precision,
    storage: { weights: options.weights ?? precision, lowMemory: options.lowMemory ?? false },
    weights,
    tokenizer,
    motionNorm: options.motionNorm ?? motionNorm,
  };
  let shaders: ReadonlySet<string>;
  try {
    shaders = shadersOf(device, configs, run, how);
  } catch {
    return;
  }
  device.compileAhead(shaders);
}
