// Control networks, loaded by themselves and used by any number of runs of a pipeline whose base they fit.

import type { Device } from "../../gpu/device.js";
import type { ByteSource } from "../../io/byte-source.js";
import { contentHash } from "../../io/checkpoint-hash.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import { readControlNet } from "../../io/names/controlnet.js";
import { identify } from "../../io/names/identify.js";
import { readT2IAdapter } from "../../io/names/t2i-adapter.js";
import { openWeights, openWeightsFolder, type WeightFile } from "../../io/weight-files.js";
import { t2iAdapterConfig, T2IAdapterModel } from "../../models/adapters/t2i-adapter.js";
import { ControlNetModel } from "../../models/controlnet/controlnet.js";
import { parseControlNetConfig } from "../../models/controlnet/config.js";
import type { UNetConfig } from "../../models/unet/config.js";
import { WeightStore } from "../../nn/weights.js";
import { openComponent } from "../base-files.js";
import type { NamedConfig } from "../build.js";
import { inferControlConfig } from "./infer.js";

interface Loaded extends Disposable {
  readonly name: string;
  readonly dtype: "f32" | "f16";
  readonly weightBytes: number;
  /** Tells what it was loaded from by its content (see contentHash); absent where nothing is executed. */
  readonly content?: string;
  dispose(): void;
}

/** What it is, by its content. */
type Network =
  | { readonly kind: "controlnet" | "sparse"; readonly model: ControlNetModel }
  | {
      readonly kind: "t2i-adapter";
      readonly model: T2IAdapterModel;
      /** Runs `body`, which uses its weights; otherwise they lie on the host: a run needs them before its first step alone. */
      readonly awake: WeightStore["awake"];
    };

/** A ControlNet, SparseCtrl encoder or T2I-Adapter on the device. */
export type ControlNetwork = Loaded & Network;
export type T2IAdapter = Extract<ControlNetwork, { readonly kind: "t2i-adapter" }>;

export interface LoadControlOptions {
  /** Storage of weights; must be the pipeline's. Default f16 where the device can compute with it. */
  readonly precision?: "f32" | "f16";
  readonly onProgress?: (p: { readonly loadedBytes: number; readonly totalBytes: number }) => void;
  readonly signal?: AbortSignal;
}

/**
 * Loads what its content says it is: a ControlNet (a diffusers folder, or a file in diffusers' or LDM's names), a SparseCtrl
 * encoder (a diffusers folder, or AnimateDiff's own file), or a T2I-Adapter, full or light (a diffusers folder, or a file in
 * diffusers' or the original names).
 * @throws CheckpointError that says what the source is instead
 */
export async function loadControl(
  device: Device,
  source: Folder | ByteSource,
  options: LoadControlOptions = {},
): Promise<ControlNetwork> {
  const dtype = options.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  const { weights, ...opened } = await openControl(source);
  try {
    const store = new WeightStore(device, dtype, { resting: opened.config === undefined });
    const dispose = () => store.dispose();
    const built = buildControl(store, { ...opened, weights });
    let content: string | undefined;
    try {
      store.check(weights);
      if (!device.isDry) content = await contentHash(weights, opened.config?.json);
      const { signal, onProgress } = options;
      await store.load(weights, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
    } catch (error) {
      dispose();
      throw error;
    }
    await store.rest();
    return {
      ...built,
      name: source.name,
      dtype,
      weightBytes: store.bytes,
      ...(content !== undefined && { content }),
      dispose,
      [Symbol.dispose]: dispose,
    };
  } finally {
    await weights.close();
  }
}

/** A control network's files: its weights in the names that its model asks for; no configuration where sizes tell all. */
interface ControlFiles {
  readonly config: NamedConfig | undefined;
  readonly weights: WeightFile;
}

/** The network of the files, its weights wanted. */
function buildControl(store: WeightStore, { config, weights }: ControlFiles): Network {
  if (!config) {
    const adapter = t2iAdapterConfig(weights.name, weights.entries());
    return { kind: "t2i-adapter", model: new T2IAdapterModel(store.root, adapter), awake: (body) => store.awake(body) };
  }
  const parsed = parseControlNetConfig(config.json, config.name);
  return { kind: parsed.kind, model: new ControlNetModel(store.root, parsed, (name) => weights.has(name)) };
}

async function openControl(source: Folder | ByteSource): Promise<ControlFiles> {
  const folder = "list" in source ? source : undefined;
  const raw: WeightFile = folder ? await openWeightsFolder(folder) : await openWeights(source as ByteSource);
  try {
    const { kind, description } = identify(raw);
    if (kind === "t2i-adapter") return { config: undefined, weights: readT2IAdapter(raw) };
    if (kind !== "controlnet" && kind !== "sparse-control")
      throw new CheckpointError(
        `${source.name} is no ControlNet, SparseCtrl encoder or T2I-Adapter for Stable Diffusion 1.5: it is ${description}`,
      );
    if (folder && (await folder.list()).includes("config.json")) {
      await raw.close();
      const { config, weights } = await openComponent(folder);
      return { config, weights: readControlNet(weights) };
    }
    const weights = readControlNet(raw);
    return { config: inferControlConfig(weights), weights };
  } catch (error) {
    await raw.close();
    throw error;
  }
}

/** What a control network has to fit. */
export interface ControlledBase {
  readonly unet: UNetConfig;
  /** Pixels per latent. */
  readonly factor: number;
  readonly dtype: "f32" | "f16";
}

/** @throws Error naming both where a control network is made for another base than this */
export function checkFits(network: ControlNetwork, { unet, factor, dtype }: ControlledBase): void {
  const { name } = network;
  const facts = (c: UNetConfig) =>
    `widths ${c.blockOutChannels.join(", ")}, texts of width ${c.crossAttentionDim}, ${c.layersPerBlock.join(", ")} layers a block`;
  const [own, base] =
    network.kind === "t2i-adapter"
      ? [
          adapterFacts(network.model.config.channels, network.model.config.factor),
          adapterFacts(unet.blockOutChannels, factor),
        ]
      : [facts(network.model.config.unet), facts(unet)];
  if (own !== base)
    throw new Error(
      `${name} is made for a base model of ${own}, but this model has ${base}; use a control network for this base`,
    );
  if (network.dtype !== dtype)
    throw new Error(
      `${name} was loaded in ${network.dtype}, but the model in ${dtype}; load both with the same precision`,
    );
}

function adapterFacts(widths: readonly number[], factor: number): string {
  return `widths ${widths.join(", ")}, ${factor} × ${factor} pixels a latent`;
}
