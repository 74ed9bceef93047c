// Configurations that a file does not bring, read off its tensors' shapes: single-file checkpoints and original motion
// files have no config.json. Names are diffusers'. Heads cannot be seen in shapes; they are Stable Diffusion 1.5's eight.

import { CheckpointError } from "../io/errors.js";
import type { WeightFile } from "../io/weight-files.js";
import type { NamedConfig } from "./build.js";

/** Heads of every attention layer in Stable Diffusion 1.5 and in AnimateDiff's modules. */
const HEADS = 8;
/** Width of a head of CLIP's text encoders. */
const CLIP_HEAD = 64;

class Shapes {
  readonly #file: WeightFile;
  readonly #names: readonly string[];

  constructor(file: WeightFile) {
    this.#file = file;
    this.#names = [...file.entries()].map((e) => e.name);
  }

  /** How many numbers follow each other from 0 in place of the `#` of a name's beginning. */
  count(pattern: string): number {
    let n = 0;
    while (this.#names.some((name) => name.startsWith(pattern.replace("#", String(n))))) n++;
    return n;
  }

  has(start: string): boolean {
    return this.#names.some((name) => name.startsWith(start));
  }

  /** One size of a tensor. @throws CheckpointError where it is not there */
  size(name: string, axis: number): number {
    if (!this.#file.has(name))
      throw new CheckpointError(`${this.#file.name} lacks "${name}", by which its size is known`);
    return this.#file.entry(name).shape[axis] ?? 0;
  }
}

/** config.json of a UNet2DConditionModel, from its tensors. */
export function inferUNetConfig(file: WeightFile): NamedConfig {
  const s = new Shapes(file);
  const blocks = Array.from({ length: s.count("down_blocks.#.") }, (_, i) => i);
  const attends = (side: "down" | "up", i: number) => s.has(`${side}_blocks.${i}.attentions.`);
  const first = blocks.find((i) => attends("down", i));
  if (first === undefined)
    throw new CheckpointError(`${file.name} has no block with cross-attention: it is no Stable Diffusion UNet`);
  const block = `down_blocks.${first}.attentions.0.transformer_blocks`;
  const json = {
    in_channels: s.size("conv_in.weight", 1),
    out_channels: s.size("conv_out.weight", 0),
    block_out_channels: blocks.map((i) => s.size(`down_blocks.${i}.resnets.0.conv1.weight`, 0)),
    layers_per_block: blocks.map((i) => s.count(`down_blocks.${i}.resnets.#.`)),
    down_block_types: blocks.map((i) => (attends("down", i) ? "CrossAttnDownBlock2D" : "DownBlock2D")),
    up_block_types: blocks.map((i) => (attends("up", i) ? "CrossAttnUpBlock2D" : "UpBlock2D")),
    cross_attention_dim: s.size(`${block}.0.attn2.to_k.weight`, 1),
    transformer_layers_per_block: blocks.map((i) =>
      Math.max(1, s.count(`down_blocks.${i}.attentions.0.transformer_blocks.#.`)),
    ),
    attention_head_dim: HEADS,
    use_linear_projection: file.entry(`down_blocks.${first}.attentions.0.proj_in.weight`).shape.length === 2,
  };
  return { name: file.name, json };
}

/** config.json of an AutoencoderKL, from its tensors. */
export function inferVAEConfig(file: WeightFile): NamedConfig {
  const s = new Shapes(file);
  const levels = Array.from({ length: s.count("decoder.up_blocks.#.") }, (_, i) => i).toReversed();
  const json = {
    block_out_channels: levels.map((i) => s.size(`decoder.up_blocks.${i}.resnets.0.conv1.weight`, 0)),
    layers_per_block: s.count("decoder.up_blocks.0.resnets.#.") - 1,
    latent_channels: s.size("decoder.conv_in.weight", 1),
    sample_size: 512, // Stable Diffusion 1.5's; only tiles depend on it
    use_quant_conv: s.has("quant_conv."),
    use_post_quant_conv: s.has("post_quant_conv."),
  };
  return { name: file.name, json };
}

/** config.json of a CLIPTextModel, from its tensors. */
export function inferTextConfig(file: WeightFile): NamedConfig {
  const s = new Shapes(file);
  const width = s.size("text_model.embeddings.token_embedding.weight", 1);
  const json = {
    vocab_size: s.size("text_model.embeddings.token_embedding.weight", 0),
    hidden_size: width,
    intermediate_size: s.size("text_model.encoder.layers.0.mlp.fc1.weight", 0),
    num_hidden_layers: s.count("text_model.encoder.layers.#."),
    num_attention_heads: Math.max(1, Math.round(width / CLIP_HEAD)),
    max_position_embeddings: s.size("text_model.embeddings.position_embedding.weight", 0),
  };
  return { name: file.name, json };
}

/** config.json of a MotionAdapter, from its tensors. `positions` where the file stores no encoding: AnimateLCM's 64. */
export function inferMotionConfig(file: WeightFile, positions = 64): NamedConfig {
  const s = new Shapes(file);
  const blocks = Array.from({ length: s.count("down_blocks.#.") }, (_, i) => i);
  const json = {
    block_out_channels: blocks.map((i) => s.size(`down_blocks.${i}.motion_modules.0.proj_in.weight`, 0)),
    motion_layers_per_block: blocks.map((i) => s.count(`down_blocks.${i}.motion_modules.#.`)),
    motion_transformer_layers_per_block: blocks.map((i) =>
      s.count(`down_blocks.${i}.motion_modules.0.transformer_blocks.#.`),
    ),
    motion_num_attention_heads: HEADS,
    motion_max_seq_length: positions,
    use_motion_mid_block: s.has("mid_block.motion_modules."),
  };
  return { name: file.name, json };
}
