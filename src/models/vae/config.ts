// What varies between VAEs: read from diffusers' config.json (AutoencoderKL).

/** Shape of an AutoencoderKL. */
export interface VAEConfig {
  readonly blockOutChannels: readonly number[];
  readonly layersPerBlock: number;
  readonly latentChannels: number;
  readonly groups: number;
  /** Latents are multiplied by this after encoding, divided before decoding. */
  readonly scalingFactor: number;
  readonly shiftFactor: number;
  readonly quantConv: boolean;
  readonly postQuantConv: boolean;
  readonly midAttention: boolean;
  /** Side of the pictures it was trained on, and of a tile. */
  readonly sampleSize: number;
}

type Json = Readonly<Record<string, unknown>>;

/** Pixels per latent, in each direction. */
export function vaeFactor(config: VAEConfig): number {
  return 2 ** (config.blockOutChannels.length - 1);
}

/** Reads a VAE's config.json. @throws Error where it is no AutoencoderKL of the Stable Diffusion kind */
export function parseVAEConfig(json: Json, name: string): VAEConfig {
  const widths = json["block_out_channels"];
  if (!Array.isArray(widths) || widths.length === 0 || !widths.every((v) => Number.isInteger(v) && v > 0))
    throw new Error(`${name}: block_out_channels should be a list of positive integers, got ${JSON.stringify(widths)}`);
  if (json["act_fn"] !== undefined && json["act_fn"] !== "silu") throw new Error(`${name}: act_fn is ${JSON.stringify(json["act_fn"])}, supported is "silu"`);
  for (const key of ["down_block_types", "up_block_types"]) {
    const odd = (Array.isArray(json[key]) ? (json[key] as unknown[]) : []).find((t) => t !== "DownEncoderBlock2D" && t !== "UpDecoderBlock2D");
    if (odd !== undefined) throw new Error(`${name}: block type ${JSON.stringify(odd)} is not supported; supported are DownEncoderBlock2D and UpDecoderBlock2D`);
  }
  const number = (key: string, missing: number) => (typeof json[key] === "number" ? json[key] : missing);
  return {
    blockOutChannels: widths as number[],
    layersPerBlock: number("layers_per_block", 1),
    latentChannels: number("latent_channels", 4),
    groups: number("norm_num_groups", 32),
    scalingFactor: number("scaling_factor", 0.18215),
    shiftFactor: number("shift_factor", 0),
    quantConv: json["use_quant_conv"] !== false,
    postQuantConv: json["use_post_quant_conv"] !== false,
    midAttention: json["mid_block_add_attention"] !== false,
    sampleSize: number("sample_size", 32),
  };
}

/** Stable Diffusion 1.5's VAE: vae/config.json. */
export const SD15_VAE: Json = { block_out_channels: [128, 256, 512, 512], layers_per_block: 2, latent_channels: 4, sample_size: 512 };
