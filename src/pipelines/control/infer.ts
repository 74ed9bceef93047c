// config.json of control networks whose files bring none, read off their tensors' shapes.

import { CheckpointError } from "../../io/errors.js";
import type { WeightFile } from "../../io/weight-files.js";
import type { NamedConfig } from "../build.js";

/** Heads of every attention layer in Stable Diffusion 1.5, which no shape shows. */
const HEADS = 8;

/** A ControlNet's or SparseCtrl's, in diffusers' names. */
export function inferControlConfig(file: WeightFile): NamedConfig {
  const names = [...file.entries()].map((e) => e.name);
  const has = (start: string) => names.some((n) => n.startsWith(start));
  const count = (pattern: string) => {
    let n = 0;
    while (has(pattern.replace("#", String(n)))) n++;
    return n;
  };
  const size = (name: string, axis: number): number => {
    if (!file.has(name)) throw new CheckpointError(`${file.name} lacks "${name}", by which its size is known`);
    return file.entry(name).shape[axis] ?? 0;
  };
  const blocks = Array.from({ length: count("down_blocks.#.") }, (_, i) => i);
  const attends = (i: number) => has(`down_blocks.${i}.attentions.`);
  const sparse = has("down_blocks.0.motion_modules.");
  const embedding = "controlnet_cond_embedding";
  const simplified = file.has(`${embedding}.weight`);
  const steps = Array.from({ length: count(`${embedding}.blocks.#.`) / 2 }, (_, i) => i);
  const inputs = size(simplified ? `${embedding}.weight` : `${embedding}.conv_in.weight`, 1);
  const temporal = (i: number) => count(`down_blocks.${i}.motion_modules.0.transformer_blocks.#.`);
  const positions = "down_blocks.0.motion_modules.0.transformer_blocks.0.pos_embed.pe";
  const json = {
    _class_name: sparse ? "SparseControlNetModel" : "ControlNetModel",
    in_channels: size("conv_in.weight", 1),
    block_out_channels: blocks.map((i) => size(`down_blocks.${i}.resnets.0.conv1.weight`, 0)),
    layers_per_block: blocks.map((i) => count(`down_blocks.${i}.resnets.#.`)),
    down_block_types: blocks.map((i) => (attends(i) ? "CrossAttnDownBlock2D" : "DownBlock2D")),
    cross_attention_dim: size("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1),
    transformer_layers_per_block: blocks.map((i) =>
      Math.max(1, count(`down_blocks.${i}.attentions.0.transformer_blocks.#.`)),
    ),
    attention_head_dim: HEADS,
    use_linear_projection: file.entry("mid_block.attentions.0.proj_in.weight").shape.length === 2,
    conditioning_channels: sparse ? inputs - 1 : inputs,
    ...(!simplified && {
      conditioning_embedding_out_channels: [
        size(`${embedding}.conv_in.weight`, 0),
        ...steps.map((i) => size(`${embedding}.blocks.${2 * i + 1}.weight`, 0)),
      ],
    }),
    ...(sparse && {
      use_simplified_condition_embedding: simplified,
      concat_conditioning_mask: true,
      motion_num_attention_heads: HEADS,
      temporal_transformer_layers_per_block: blocks.map(temporal),
      motion_max_seq_length: file.has(positions) ? size(positions, 1) : 32,
    }),
  };
  return { name: file.name, json };
}
