// What varies between ControlNets: diffusers' config.json of ControlNetModel and SparseControlNetModel, beyond what a UNet's
// says.

import { parseUNetConfig, type MotionConfig, type UNetConfig } from "../unet/config.js";

export interface ControlNetConfig {
  readonly kind: "controlnet" | "sparse";
  /** The UNet whose way down this network copies. */
  readonly unet: UNetConfig;
  /** Channels of the condition: 3 for pictures; SparseCtrl's RGB kind takes 4 of latents. A mask comes on top. */
  readonly channels: number;
  /** The mask of given frames is a further channel. */
  readonly mask: boolean;
  /** Widths of the convolutions that bring pictures to the latents' size; empty where the condition has that size. */
  readonly embeddingWidths: readonly number[];
  /** The condition's channels are reversed. */
  readonly bgr: boolean;
  readonly motion: MotionConfig | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Stable Diffusion 1.5's, where a file brings no config.json. */
export const SD15_CONTROLNET: Json = {
  block_out_channels: [320, 640, 1280, 1280],
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  cross_attention_dim: 768,
  attention_head_dim: 8,
  conditioning_embedding_out_channels: [16, 32, 96, 256],
};

/** Reads a config.json. @throws Error naming the first setting this implementation does not have */
export function parseControlNetConfig(json: Json, name: string): ControlNetConfig {
  const family = String(json["_class_name"] ?? "ControlNetModel");
  if (family !== "ControlNetModel" && family !== "SparseControlNetModel")
    throw new Error(`${name} is a ${family}; expected a ControlNetModel or SparseControlNetModel for Stable Diffusion 1.5`);
  const sparse = family === "SparseControlNetModel";
  if (json["global_pool_conditions"] === true)
    throw new Error(`${name} averages what it adds over the picture (global_pool_conditions), which is not supported; use another ControlNet`);
  const down = json["down_block_types"] as readonly unknown[] | undefined;
  const unet = parseUNetConfig({ ...json, up_block_types: upTypes(down) }, name);
  const temporal = json["temporal_transformer_layers_per_block"] ?? 1;
  const n = unet.blockOutChannels.length;
  return {
    kind: sparse ? "sparse" : "controlnet",
    unet,
    channels: integer(json, "conditioning_channels", sparse ? 4 : 3, name),
    mask: sparse && json["concat_conditioning_mask"] !== false,
    embeddingWidths:
      sparse && json["use_simplified_condition_embedding"] !== false
        ? []
        : ((json["conditioning_embedding_out_channels"] ?? [16, 32, 96, 256]) as readonly number[]),
    bgr: json["controlnet_conditioning_channel_order"] === "bgr",
    motion: sparse
      ? {
          maxFrames: integer(json, "motion_max_seq_length", 32, name),
          heads: unet.blockOutChannels.map(() => integer(json, "motion_num_attention_heads", 8, name)),
          layersPerBlock: unet.layersPerBlock,
          transformerLayers: Array.isArray(temporal) ? (temporal as number[]) : Array.from({ length: n }, () => temporal as number),
          midTransformerLayers: 1,
          midBlock: false,
          attentions: 1,
        }
      : undefined,
  };
}

/** A ControlNet has no way up; a UNet's configuration wants one of the same kinds. */
function upTypes(down: readonly unknown[] = []): string[] {
  return down.map((type) => (String(type).startsWith("CrossAttn") ? "CrossAttnUpBlock2D" : "UpBlock2D")).toReversed();
}

function integer(json: Json, key: string, missing: number, name: string): number {
  const value = json[key] ?? missing;
  if (!Number.isInteger(value)) throw new Error(`${name}: ${key} should be a whole number, got ${JSON.stringify(value)}`);
  return value as number;
}
