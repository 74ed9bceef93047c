// UNet names: LDM's (`input_blocks.4.1.…`, CompVis) and diffusers' (`down_blocks.1.attentions.0.…`). LDM numbers layers and
// downsamplers through; every level takes `stride` = layers per block + 1 numbers, input block 0 being conv_in.

import { backwards, swapHead } from "./renamed.js";

type Pairs = readonly (readonly [string, string])[];

/** Outside the blocks: LDM, diffusers. */
const ENDS: Pairs = [
  ["time_embed.0.", "time_embedding.linear_1."],
  ["time_embed.2.", "time_embedding.linear_2."],
  ["input_blocks.0.0.", "conv_in."],
  ["out.0.", "conv_norm_out."],
  ["out.2.", "conv_out."],
  ["middle_block.1.", "mid_block.attentions.0."],
];

/** Inside a resnet. */
const RESNET: Pairs = [
  ["in_layers.0.", "norm1."],
  ["in_layers.2.", "conv1."],
  ["emb_layers.1.", "time_emb_proj."],
  ["out_layers.0.", "norm2."],
  ["out_layers.3.", "conv2."],
  ["skip_connection.", "conv_shortcut."],
];

/** Numbers a level takes in LDM's counting: the first downsampler's; 3 where there is none, as in Stable Diffusion. */
function strideOf(ldm: readonly string[]): number {
  const downsamplers = ldm.map((n) => /^input_blocks\.(\d+)\.0\.op\./.exec(n)?.[1]).filter((n) => n !== undefined);
  return downsamplers.length === 0 ? 3 : Math.min(...downsamplers.map(Number));
}

/** diffusers' name of an LDM UNet tensor; undefined where there is none. */
function fromLdm(name: string, stride: number): string | undefined {
  const end = swapHead(name, ENDS);
  if (end !== undefined) return end;
  const mid = /^middle_block\.([02])\.(.+)$/.exec(name);
  if (mid) return joined(`mid_block.resnets.${Number(mid[1]) / 2}.`, swapHead(mid[2]!, RESNET));
  const block = /^(in|out)put_blocks\.(\d+)\.(\d)\.(.+)$/.exec(name);
  if (!block) return undefined;
  const [, side = "", number = "", part = "", rest = ""] = block;
  const at = side === "in" ? Number(number) - 1 : Number(number);
  const [level, layer] = [Math.floor(at / stride), at % stride];
  const prefix = `${side === "in" ? "down" : "up"}_blocks.${level}.`;
  if (side === "in" && part === "0" && rest.startsWith("op.")) return `${prefix}downsamplers.0.conv.${rest.slice(3)}`;
  if (side === "out" && part !== "0" && rest.startsWith("conv.")) return `${prefix}upsamplers.0.${rest}`;
  if (part === "0") return joined(`${prefix}resnets.${layer}.`, swapHead(rest, RESNET));
  return part === "1" ? `${prefix}attentions.${layer}.${rest}` : undefined;
}

function joined(prefix: string, rest: string | undefined): string | undefined {
  return rest === undefined ? undefined : prefix + rest;
}

/** LDM's name of a diffusers UNet tensor; `attentive` are the up blocks that have attentions. */
function toLdm(name: string, stride: number, attentive: ReadonlySet<string>): string | undefined {
  const end = swapHead(name, backwards(ENDS));
  if (end !== undefined) return end;
  const mid = /^mid_block\.resnets\.([01])\.(.+)$/.exec(name);
  if (mid) return joined(`middle_block.${Number(mid[1]) * 2}.`, swapHead(mid[2]!, backwards(RESNET)));
  const block = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/.exec(name);
  if (!block) return undefined;
  const [, side = "", level = "", kind = "", layer = "", rest = ""] = block;
  const first = Number(level) * stride + (side === "down" ? 1 : 0);
  const prefix = `${side === "down" ? "in" : "out"}put_blocks.`;
  switch (kind) {
    case "resnets":
      return joined(`${prefix}${first + Number(layer)}.0.`, swapHead(rest, backwards(RESNET)));
    case "attentions":
      return `${prefix}${first + Number(layer)}.1.${rest}`;
    case "downsamplers":
      return joined(`${prefix}${first + stride - 1}.0.`, swapHead(rest, [["conv.", "op."]]));
    default:
      return `${prefix}${first + stride - 1}.${attentive.has(level) ? 2 : 1}.${rest}`;
  }
}

/** diffusers name → LDM name for all UNet names in LDM's spelling (without `model.diffusion_model.`) that have one. */
export function unetFromLdm(ldm: readonly string[]): Map<string, string> {
  const stride = strideOf(ldm);
  const table = new Map<string, string>();
  for (const name of ldm) {
    const to = fromLdm(name, stride);
    if (to !== undefined) table.set(to, name);
  }
  return table;
}

/** LDM name → diffusers name for all diffusers UNet names that have one (motion modules have none). */
export function unetToLdm(diffusers: readonly string[]): Map<string, string> {
  const layers = diffusers.map((n) => /^down_blocks\.0\.resnets\.(\d+)\./.exec(n)?.[1]).filter((n) => n !== undefined);
  const stride = layers.length === 0 ? 3 : Math.max(...layers.map(Number)) + 2;
  const table = new Map<string, string>();
  const attentive = new Set(
    diffusers.map((n) => /^up_blocks\.(\d+)\.attentions\./.exec(n)?.[1]).filter((n) => n !== undefined),
  );
  for (const name of diffusers) {
    const to = toLdm(name, stride, attentive);
    if (to !== undefined) table.set(to, name);
  }
  return table;
}
