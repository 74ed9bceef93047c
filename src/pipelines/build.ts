// The networks of a text-to-video model built from their configurations, without their weights: what loading fills and
// what a plan only measures.

import type { Device } from "../gpu/device.js";
import { CLIPTextModel, parseCLIPTextConfig, SD15_TEXT } from "../models/clip/text-model.js";
import { FeatureAdapter, type FeatureAdapterConfig } from "../models/adapters/feature-adapter.js";
import { parseMotionConfig, parseUNetConfig, SD15_UNET, type UNetConfig } from "../models/unet/config.js";
import { UNetMotionModel } from "../models/unet/unet.js";
import { parseVAEConfig, SD15_VAE } from "../models/vae/config.js";
import { AutoencoderKL } from "../models/vae/vae.js";
import { WeightStore } from "../nn/weights.js";

type Json = Readonly<Record<string, unknown>>;

/** A configuration file and the name under which errors speak of it. */
export interface NamedConfig {
  readonly name: string;
  readonly json: Json;
}

/** config.json of each network. */
export interface ModelConfigs {
  readonly text: NamedConfig;
  readonly unet: NamedConfig;
  readonly vae: NamedConfig;
  /** MotionAdapter; absent where the UNet's file has its motion modules inside, or there are none. */
  readonly motion?: NamedConfig;
}

/** Stable Diffusion 1.5 with AnimateLCM's motion modules, at their published sizes. */
export const SD15_ANIMATELCM: ModelConfigs = {
  text: { name: "Stable Diffusion 1.5 text_encoder", json: SD15_TEXT },
  unet: { name: "Stable Diffusion 1.5 unet", json: SD15_UNET },
  vae: { name: "Stable Diffusion 1.5 vae", json: SD15_VAE },
  motion: { name: "AnimateLCM", json: {} },
};

/** Names and shapes in the UNet's files. */
export interface UNetNames {
  entries(): Iterable<{ readonly name: string; readonly shape: readonly number[] }>;
}

/** Networks with their weight stores, not loaded yet. */
export interface BuiltModels {
  readonly text: CLIPTextModel;
  readonly unet: UNetMotionModel;
  readonly vae: AutoencoderKL;
  /** Positions of the motion modules; undefined without any. */
  readonly maxFrames: number | undefined;
  /** AnimateLCM-I2V's, where one is asked for. */
  readonly imageEncoder: FeatureAdapter | undefined;
  readonly stores: {
    readonly text: WeightStore;
    readonly unet: WeightStore;
    readonly vae: WeightStore;
    /** The image encoder's. */
    readonly image: WeightStore;
  };
}

/** How weights are stored, and where they are when they are not used. */
export interface ModelStorage {
  /** Of matrices; int8 concerns the UNet's, the others are then f16. */
  readonly weights: "f32" | "f16" | "int8";
  /** The UNet's large weights stay on the host and are uploaded layer by layer in each evaluation. Default false. */
  readonly lowMemory?: boolean;
}

/**
 * Builds the networks on `device`, weights to be stored as `storage` says; the text encoder and the VAE rest on the host. `unetWeights` are the UNet's files: motion modules may
 * or may not store their positional encoding there, and then know as many positions as it has.
 * @throws Error naming the first setting that is not supported, or the two files that do not fit each other
 */
export function buildModels(
  device: Device,
  configs: ModelConfigs,
  options: {
    readonly storage: ModelStorage;
    readonly encoder?: boolean;
    readonly unetWeights?: UNetNames;
    readonly imageWeights?: UNetNames | undefined;
  },
): BuiltModels {
  const { weights, lowMemory = false } = options.storage;
  const dtype = weights === "int8" ? "f16" : weights;
  const stores = {
    text: new WeightStore(device, dtype, { resting: true }),
    unet: new WeightStore(device, dtype, { int8: weights === "int8", streamed: lowMemory }),
    vae: new WeightStore(device, dtype, { resting: true }),
    image: new WeightStore(device, dtype, { resting: true }),
  };
  const textConfig = parseCLIPTextConfig(configs.text.json, configs.text.name);
  const unetConfig = parseUNetConfig(configs.unet.json, configs.unet.name);
  if (unetConfig.crossAttentionDim !== textConfig.hiddenSize)
    throw new Error(
      `${configs.unet.name} reads texts of width ${unetConfig.crossAttentionDim}, but ${configs.text.name} makes width ${textConfig.hiddenSize}` +
        (unetConfig.crossAttentionDim === 1024
          ? "; this is a Stable Diffusion 2 UNet, and AnimateLCM works with 1.5 models"
          : ""),
    );
  const configured = configs.motion
    ? parseMotionConfig(configs.motion.json, unetConfig, configs.motion.name)
    : unetConfig.motion;
  const encodings = new Map(
    [...(options.unetWeights?.entries() ?? [])]
      .filter((e) => e.name.endsWith("pos_embed.pe"))
      .map((e) => [e.name, e.shape[1] ?? 0]),
  );
  const motion = configured && {
    ...configured,
    maxFrames: encodings.size > 0 ? Math.min(...encodings.values()) : configured.maxFrames,
  };
  return {
    text: new CLIPTextModel(stores.text.root, textConfig),
    unet: new UNetMotionModel(stores.unet.root, unetConfig, motion, (name) => encodings.has(name)),
    vae: new AutoencoderKL(stores.vae.root, parseVAEConfig(configs.vae.json, configs.vae.name), {
      encoder: options.encoder ?? false,
    }),
    maxFrames: motion?.maxFrames,
    imageEncoder:
      options.imageWeights &&
      new FeatureAdapter(stores.image.root, imageEncoderConfig(options.imageWeights, unetConfig, configs.motion?.name)),
    stores,
  };
}

/** An image encoder's sizes, by its tensors. @throws Error naming both where it does not fit the UNet */
function imageEncoderConfig(file: UNetNames, unet: UNetConfig, name = "the motion file"): FeatureAdapterConfig {
  const shapes = new Map([...file.entries()].map((e) => [e.name, e.shape]));
  const widths: number[] = [];
  for (let i = 0; ; i++) {
    const width = shapes.get(`body.${i}.block1.weight`)?.[0];
    if (width === undefined) break;
    widths.push(width);
  }
  const channels = unet.blockOutChannels;
  const blocks = widths.length / channels.length;
  if (!Number.isInteger(blocks) || blocks < 1 || widths.some((w, i) => w !== channels[Math.floor(i / blocks)]))
    throw new Error(
      `${name}: its image encoder has blocks of widths [${widths.join(", ")}], which do not fit this UNet's levels [${channels.join(", ")}]; use a motion file made for this base model`,
    );
  return { inChannels: shapes.get("conv_in.weight")?.[1] ?? unet.inChannels, channels, blocks };
}
