// Control networks, loaded by themselves and used by any number of runs of a pipeline whose base they fit.

import type { Device } from "../../gpu/device.js";
import type { ByteSource } from "../../io/byte-source.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import { readControlNet } from "../../io/names/controlnet.js";
import { identify } from "../../io/names/identify.js";
import { openWeights, openWeightsFolder, type WeightFile } from "../../io/weight-files.js";
import { ControlNetModel } from "../../models/controlnet/controlnet.js";
import { parseControlNetConfig } from "../../models/controlnet/config.js";
import type { UNetConfig } from "../../models/unet/config.js";
import { WeightStore } from "../../nn/weights.js";
import { openComponent, type Component } from "../base-files.js";
import { inferControlConfig } from "./infer.js";

/** A ControlNet or SparseCtrl on the device. */
export interface ControlNetwork extends Disposable {
  readonly kind: "controlnet" | "sparse";
  readonly name: string;
  readonly model: ControlNetModel;
  readonly dtype: "f32" | "f16";
  readonly weightBytes: number;
  dispose(): void;
}

export interface LoadControlOptions {
  /** Storage of weights; must be the pipeline's. Default f16 where the device can compute with it. */
  readonly precision?: "f32" | "f16";
  readonly onProgress?: (p: { readonly loadedBytes: number; readonly totalBytes: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Loads a ControlNet (a diffusers folder, or a file in diffusers' or LDM's names) or a SparseCtrl encoder (a diffusers folder,
 * or AnimateDiff's own file).
 * @throws CheckpointError that says what the source is instead
 */
export async function loadControl(
  device: Device,
  source: Folder | ByteSource,
  options: LoadControlOptions = {},
): Promise<ControlNetwork> {
  const dtype = options.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  const { config, weights } = await openControl(source);
  try {
    const before = device.memory.used;
    const store = new WeightStore(device, dtype);
    const model = new ControlNetModel(store.root, parseControlNetConfig(config.json, config.name), (name) =>
      weights.has(name),
    );
    const dispose = () => store.dispose();
    try {
      const { signal, onProgress } = options;
      await store.load(weights, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
    } catch (error) {
      dispose();
      throw error;
    }
    return {
      kind: model.config.kind,
      name: source.name,
      model,
      dtype,
      weightBytes: device.memory.used - before,
      dispose,
      [Symbol.dispose]: dispose,
    };
  } finally {
    await weights.close();
  }
}

/** Its configuration and weights in diffusers' names. */
async function openControl(source: Folder | ByteSource): Promise<Component> {
  const folder = "list" in source ? source : undefined;
  const raw: WeightFile = folder ? await openWeightsFolder(folder) : await openWeights(source as ByteSource);
  try {
    const { kind, description } = identify(raw);
    if (kind !== "controlnet" && kind !== "sparse-control")
      throw new CheckpointError(
        `${source.name} is no ControlNet and no SparseCtrl encoder for Stable Diffusion 1.5: it is ${description}`,
      );
    if (folder && (await folder.list()).includes("config.json")) {
      await raw.close();
      return await openComponent(folder);
    }
    const weights = readControlNet(raw);
    return { config: inferControlConfig(weights), weights };
  } catch (error) {
    await raw.close();
    throw error;
  }
}

/** @throws Error naming both where a control network is made for another base than this UNet */
export function checkFits({ name, model, dtype }: ControlNetwork, unet: UNetConfig, precision: "f32" | "f16"): void {
  const { unet: own } = model.config;
  const facts = (c: UNetConfig) =>
    `widths ${c.blockOutChannels.join(", ")}, texts of width ${c.crossAttentionDim}, ${c.layersPerBlock.join(", ")} layers a block`;
  if (facts(own) !== facts(unet))
    throw new Error(
      `${name} is made for a base model of ${facts(own)}, but this model has ${facts(unet)}; use a control network for this base`,
    );
  if (dtype !== precision)
    throw new Error(`${name} was loaded in ${dtype}, but the model in ${precision}; load both with the same precision`);
}
