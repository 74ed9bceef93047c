// What varies between UNets that are loaded: read from diffusers' config.json (UNet2DConditionModel or UNetMotionModel)
// and from the MotionAdapter's. What this implementation does not have is refused by name.

/** Shape of a UNet2DConditionModel. */
export interface UNetConfig {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly sampleSize: number;
  readonly blockOutChannels: readonly number[];
  readonly layersPerBlock: readonly number[];
  /** Per block: has cross-attention. */
  readonly downAttention: readonly boolean[];
  readonly upAttention: readonly boolean[];
  readonly crossAttentionDim: number;
  /** Heads per down block (mid uses the last, up blocks the reverse). */
  readonly heads: readonly number[];
  readonly transformerLayers: readonly number[];
  readonly linearProjection: boolean;
  readonly groups: number;
  readonly eps: number;
  readonly flipSinToCos: boolean;
  readonly freqShift: number;
  /** Set where the file is a UNetMotionModel with its motion modules inside. */
  readonly motion: MotionConfig | undefined;
}

/** Shape of the motion modules (MotionAdapter). */
export interface MotionConfig {
  /** Positions the modules know: the longest clip. */
  readonly maxFrames: number;
  readonly heads: readonly number[];
  readonly layersPerBlock: readonly number[];
  /** Transformer blocks inside one motion module, per UNet block. */
  readonly transformerLayers: readonly number[];
  readonly midTransformerLayers: number;
  readonly midBlock: boolean;
  /** Attentions over frames in a transformer block. */
  readonly attentions: 1 | 2;
}

type Json = Readonly<Record<string, unknown>>;

/** Config values that would change the arithmetic in ways this code does not have; each with the values that are fine. */
const PLAIN: Readonly<Record<string, readonly unknown[]>> = {
  act_fn: ["silu", "swish"],
  addition_embed_type: [null],
  class_embed_type: [null],
  encoder_hid_dim: [null],
  encoder_hid_dim_type: [null],
  time_cond_proj_dim: [null],
  timestep_post_act: [null],
  time_embedding_type: ["positional"],
  resnet_time_scale_shift: ["default"],
  only_cross_attention: [false],
  dual_cross_attention: [false],
  center_input_sample: [false],
  mid_block_type: ["UNetMidBlock2DCrossAttn", "UNetMidBlockCrossAttnMotion"],
  mid_block_scale_factor: [1],
  downsample_padding: [1],
  conv_in_kernel: [3],
  conv_out_kernel: [3],
  attention_type: ["default"],
  resnet_out_scale_factor: [1],
  cross_attention_norm: [null],
  reverse_transformer_layers_per_block: [null],
};

/**
 * Reads a UNet's config.json.
 * @throws Error that names the first setting this implementation does not have, and the family it points to
 */
export function parseUNetConfig(json: Json, name: string): UNetConfig {
  if (json["addition_embed_type"] === "text_time") throw new Error(`${name} is an SDXL UNet; AnimateLCM works with Stable Diffusion 1.5 models`);
  for (const [key, values] of Object.entries(PLAIN)) {
    const value = json[key];
    if (value !== undefined && !values.includes(value))
      throw new Error(`${name}: ${key} is ${JSON.stringify(value)}, supported is ${values.map((v) => JSON.stringify(v)).join(" or ")}`);
  }
  const widths = numbers(json, "block_out_channels", name);
  const n = widths.length;
  const motionClass = json["_class_name"] === "UNetMotionModel";
  const heads = json["num_attention_heads"] ?? json["attention_head_dim"] ?? 8;
  return {
    inChannels: number(json, "in_channels", 4),
    outChannels: number(json, "out_channels", 4),
    sampleSize: number(json, "sample_size", 64),
    blockOutChannels: widths,
    layersPerBlock: perBlock(json["layers_per_block"] ?? 2, n, "layers_per_block", name),
    downAttention: blockTypes(json, "down_block_types", "Down", n, name),
    upAttention: blockTypes(json, "up_block_types", "Up", n, name),
    crossAttentionDim: scalar(json["cross_attention_dim"] ?? 768, "cross_attention_dim", name),
    heads: perBlock(heads, n, "attention_head_dim", name),
    transformerLayers: perBlock(json["transformer_layers_per_block"] ?? 1, n, "transformer_layers_per_block", name),
    linearProjection: json["use_linear_projection"] === true,
    groups: number(json, "norm_num_groups", 32),
    eps: number(json, "norm_eps", 1e-5),
    flipSinToCos: json["flip_sin_to_cos"] !== false,
    freqShift: number(json, "freq_shift", 0),
    motion: motionClass
      ? {
          maxFrames: number(json, "motion_max_seq_length", 32),
          heads: perBlock(json["motion_num_attention_heads"] ?? 8, n, "motion_num_attention_heads", name),
          layersPerBlock: perBlock(json["layers_per_block"] ?? 2, n, "layers_per_block", name),
          transformerLayers: perBlock(json["temporal_transformer_layers_per_block"] ?? 1, n, "temporal_transformer_layers_per_block", name),
          midTransformerLayers: scalar(json["temporal_transformer_layers_per_mid_block"] ?? 1, "temporal_transformer_layers_per_mid_block", name),
          midBlock: json["use_motion_mid_block"] !== false,
          attentions: 2,
        }
      : undefined,
  };
}

/** Reads a MotionAdapter's config.json and checks that it fits the UNet. @throws Error naming both where it does not */
export function parseMotionConfig(json: Json, unet: UNetConfig, name: string): MotionConfig {
  const widths = numbers({ block_out_channels: [320, 640, 1280, 1280], ...json }, "block_out_channels", name);
  const n = widths.length;
  if (widths.join() !== unet.blockOutChannels.join())
    throw new Error(`${name}: motion modules for widths [${widths.join(", ")}] do not fit this UNet's [${unet.blockOutChannels.join(", ")}]; use a motion module made for the base model's family`);
  if (json["conv_in_channels"] !== undefined && json["conv_in_channels"] !== null)
    throw new Error(`${name}: a motion adapter that brings its own conv_in (PIA) is not supported; use an AnimateDiff or AnimateLCM motion module`);
  const config = {
    maxFrames: number(json, "motion_max_seq_length", 32),
    heads: perBlock(json["motion_num_attention_heads"] ?? 8, n, "motion_num_attention_heads", name),
    layersPerBlock: perBlock(json["motion_layers_per_block"] ?? 2, n, "motion_layers_per_block", name),
    transformerLayers: perBlock(json["motion_transformer_layers_per_block"] ?? 1, n, "motion_transformer_layers_per_block", name),
    midTransformerLayers: scalar(json["motion_transformer_layers_per_mid_block"] ?? 1, "motion_transformer_layers_per_mid_block", name),
    midBlock: json["use_motion_mid_block"] !== false,
    attentions: 2 as const,
  };
  if (config.layersPerBlock.join() !== unet.layersPerBlock.join())
    throw new Error(`${name}: motion modules for ${config.layersPerBlock.join(", ")} layers per block do not fit this UNet's ${unet.layersPerBlock.join(", ")}`);
  return config;
}

/** Stable Diffusion 1.5's UNet: runwayml/stable-diffusion-v1-5, unet/config.json. */
export const SD15_UNET: Json = {
  sample_size: 64,
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [320, 640, 1280, 1280],
  layers_per_block: 2,
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  cross_attention_dim: 768,
  attention_head_dim: 8,
};

function number(json: Json, key: string, missing: number): number {
  const value = json[key];
  return typeof value === "number" ? value : missing;
}

function numbers(json: Json, key: string, name: string): number[] {
  const value = json[key];
  if (!Array.isArray(value) || value.length === 0 || !value.every((v) => Number.isInteger(v) && v > 0))
    throw new Error(`${name}: ${key} should be a list of positive integers, got ${JSON.stringify(value)}`);
  return value as number[];
}

function perBlock(value: unknown, n: number, key: string, name: string): number[] {
  if (typeof value === "number") return Array.from({ length: n }, () => value);
  if (Array.isArray(value) && value.length === n && value.every((v) => typeof v === "number")) return value as number[];
  throw new Error(`${name}: ${key} should be a number or a list of ${n} numbers, got ${JSON.stringify(value)}`);
}

function scalar(value: unknown, key: string, name: string): number {
  const [first, ...rest] = Array.isArray(value) ? (value as unknown[]) : [value];
  if (typeof first !== "number" || rest.some((v) => v !== first)) throw new Error(`${name}: ${key} should be one number, got ${JSON.stringify(value)}`);
  return first;
}

function blockTypes(json: Json, key: string, direction: "Down" | "Up", n: number, name: string): boolean[] {
  const value = json[key];
  const known: Readonly<Record<string, boolean>> = {
    [`CrossAttn${direction}Block2D`]: true,
    [`CrossAttn${direction}BlockMotion`]: true,
    [`${direction}Block2D`]: false,
    [`${direction}BlockMotion`]: false,
  };
  if (!Array.isArray(value) || value.length !== n) throw new Error(`${name}: ${key} should list ${n} block types, got ${JSON.stringify(value)}`);
  return value.map((type: unknown) => {
    const attention = known[String(type)];
    if (attention === undefined) throw new Error(`${name}: block type ${JSON.stringify(type)} is not supported; supported are ${Object.keys(known).join(", ")}`);
    return attention;
  });
}
