// VAE names: LDM's (`decoder.up.3.block.0.…`, levels of the decoder counted from the output), diffusers' older ones (attention
// `query`, `key`, `value`, `proj_attn`) and today's. LDM's attention is 1 × 1 convolutions, diffusers' is linear.

import type { WeightFile } from "../weight-files.js";
import { backwards, swapHead, type NameTable, type Origin } from "./renamed.js";

type Pairs = readonly (readonly [string, string])[];

const ENDS: Pairs = [
  ["encoder.norm_out.", "encoder.conv_norm_out."],
  ["decoder.norm_out.", "decoder.conv_norm_out."],
];
/** Same in both. */
const KEPT = /^(encoder\.conv_in|encoder\.conv_out|decoder\.conv_in|decoder\.conv_out|quant_conv|post_quant_conv)\./;
const ATTENTION: Pairs = [
  ["norm.", "group_norm."],
  ["q.", "to_q."],
  ["k.", "to_k."],
  ["v.", "to_v."],
  ["proj_out.", "to_out.0."],
];
const OLD_ATTENTION: Pairs = [
  ["query.", "to_q."],
  ["key.", "to_k."],
  ["value.", "to_v."],
  ["proj_attn.", "to_out.0."],
];
const SHORTCUT: Pairs = [["nin_shortcut.", "conv_shortcut."]];

function fromLdm(name: string, levels: number): string | undefined {
  if (KEPT.test(name)) return name;
  const end = swapHead(name, ENDS);
  if (end !== undefined) return end;
  const mid = /^(encoder|decoder)\.mid\.(block_([12])|attn_1)\.(.+)$/.exec(name);
  if (mid) {
    const [, side = "", part = "", number = "", rest = ""] = mid;
    if (part !== "attn_1") return `${side}.mid_block.resnets.${Number(number) - 1}.${swapHead(rest, SHORTCUT) ?? rest}`;
    const to = swapHead(rest, ATTENTION);
    return to === undefined ? undefined : `${side}.mid_block.attentions.0.${to}`;
  }
  const block = /^(encoder\.down|decoder\.up)\.(\d+)\.(block\.(\d+)|downsample|upsample)\.(.+)$/.exec(name);
  if (!block) return undefined;
  const [, side = "", level = "", part = "", layer = "", rest = ""] = block;
  const prefix =
    side === "encoder.down" ? `encoder.down_blocks.${level}.` : `decoder.up_blocks.${levels - 1 - Number(level)}.`;
  if (part === "downsample" || part === "upsample") return `${prefix}${part}rs.0.${rest}`;
  return `${prefix}resnets.${layer}.${swapHead(rest, SHORTCUT) ?? rest}`;
}

function toLdm(name: string, levels: number): string | undefined {
  if (KEPT.test(name)) return name;
  const end = swapHead(name, backwards(ENDS));
  if (end !== undefined) return end;
  const mid = /^(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d)\.(.+)$/.exec(name);
  if (mid) {
    const [, side = "", kind = "", number = "", rest = ""] = mid;
    if (kind === "resnets")
      return `${side}.mid.block_${Number(number) + 1}.${swapHead(rest, backwards(SHORTCUT)) ?? rest}`;
    const to = swapHead(rest, backwards(ATTENTION));
    return to === undefined ? undefined : `${side}.mid.attn_1.${to}`;
  }
  const block =
    /^(encoder\.down|decoder\.up)_blocks\.(\d+)\.(resnets\.(\d+)|downsamplers\.0|upsamplers\.0)\.(.+)$/.exec(name);
  if (!block) return undefined;
  const [, side = "", level = "", part = "", layer = "", rest = ""] = block;
  const prefix = side === "encoder.down" ? `${side}.${level}.` : `${side}.${levels - 1 - Number(level)}.`;
  if (part.startsWith("resnets")) return `${prefix}block.${layer}.${swapHead(rest, backwards(SHORTCUT)) ?? rest}`;
  return `${prefix}${part.slice(0, -"rs.0".length)}.${rest}`;
}

/** Levels of the decoder among names of either spelling. */
function levelsOf(names: readonly string[]): number {
  const found = names.map((n) => /^decoder\.up(?:_blocks)?\.(\d+)\./.exec(n)?.[1]).filter((n) => n !== undefined);
  return found.length === 0 ? 4 : Math.max(...found.map(Number)) + 1;
}

/** diffusers name → LDM name (without `first_stage_model.`). */
export function vaeFromLdm(ldm: readonly string[]): Map<string, string> {
  return mapNames(ldm, fromLdm);
}

/** LDM name → today's diffusers name. */
export function vaeToLdm(diffusers: readonly string[]): Map<string, string> {
  return mapNames(diffusers, toLdm);
}

function mapNames(
  names: readonly string[],
  rename: (name: string, levels: number) => string | undefined,
): Map<string, string> {
  const levels = levelsOf(names);
  const table = new Map<string, string>();
  for (const name of names) {
    const to = rename(name, levels);
    if (to !== undefined) table.set(to, name);
  }
  return table;
}

/** Whether names are LDM's VAE names. */
export function isLdmVae(names: { has(name: string): boolean }): boolean {
  return names.has("decoder.mid.attn_1.q.weight") || names.has("decoder.up.0.block.0.conv1.weight");
}

/** Today's diffusers names → names in `file` (all below `prefix`), with matrices for attention: from any of the three spellings. */
export function vaeTable(file: WeightFile, prefix = ""): NameTable {
  const local = [...file.entries()].filter((e) => e.name.startsWith(prefix)).map((e) => e.name.slice(prefix.length));
  const known = new Set(local);
  const pairs = isLdmVae(known)
    ? vaeFromLdm(local)
    : new Map(
        local.map((n) => {
          const m = /^(.*\.mid_block\.attentions\.0\.)(.+)$/.exec(n);
          return [m ? m[1]! + (swapHead(m[2]!, OLD_ATTENTION) ?? m[2]!) : n, n];
        }),
      );
  const table = new Map<string, Origin>();
  for (const [to, from] of pairs) {
    const { shape } = file.entry(prefix + from);
    const flat =
      /\.attentions\.0\.to_\w+(\.0)?\.weight$/.test(to) && shape.length === 4 && shape[2] === 1 && shape[3] === 1;
    table.set(to, { from: prefix + from, ...(flat && { shape: shape.slice(0, 2) }) });
  }
  return table;
}
