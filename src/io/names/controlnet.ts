// ControlNets in LDM's names (lllyasviel's own files and single files of model-sharing sites: `control_model.input_blocks.…`,
// `input_hint_block`, `zero_convs`) and AnimateDiff's SparseCtrl files, as diffusers names them.

import { CheckpointError } from "../errors.js";
import type { WeightFile } from "../weight-files.js";
import { motionName } from "./motion.js";
import { renameWeights, type Origin } from "./renamed.js";
import { unetFromLdm } from "./unet.js";

const PREFIX = "control_model.";

/**
 * A ControlNet's file in diffusers' names; the same file where it has them already. Closing the view closes the file.
 * @throws CheckpointError for names in no known place
 */
export function readControlNet(file: WeightFile): WeightFile {
  const names = [...file.entries()].map((e) => e.name);
  const prefix = names.some((n) => n.startsWith(PREFIX)) ? PREFIX : "";
  const own = names.filter((n) => n.startsWith(prefix));
  if (own.some((n) => n.startsWith(`${prefix}input_hint_block.`))) return fromLdm(file, prefix, own);
  if (names.some((n) => n.includes(".temporal_transformer.") || n.startsWith("module.")))
    return fromAnimateDiff(file, names);
  return file;
}

function fromLdm(file: WeightFile, prefix: string, names: readonly string[]): WeightFile {
  const table = new Map<string, Origin>();
  const rest: string[] = [];
  const hints = names.map((n) => Number(/input_hint_block\.(\d+)\./.exec(n)?.[1] ?? -1));
  const last = Math.max(...hints);
  for (const name of names) {
    const local = name.slice(prefix.length);
    const to = hint(local, last) ?? zero(local);
    if (to === undefined) rest.push(local);
    else table.set(to, { from: name });
  }
  const unet = unetFromLdm(rest);
  const odd = rest.find((n) => ![...unet.values()].includes(n));
  if (odd !== undefined)
    throw new CheckpointError(
      `${file.name}: a ControlNet for Stable Diffusion 1.5 has no tensor ${prefix}${odd}; it is one for another base model`,
    );
  for (const [to, from] of unet) table.set(to, { from: prefix + from });
  return renameWeights(file, table);
}

/** The convolutions over the picture: numbered with the activations between them. */
function hint(name: string, last: number): string | undefined {
  const m = /^input_hint_block\.(\d+)\.(.+)$/.exec(name);
  if (!m) return undefined;
  const n = Number(m[1]);
  const at = n === 0 ? "conv_in" : n === last ? "conv_out" : `blocks.${n / 2 - 1}`;
  return `controlnet_cond_embedding.${at}.${m[2]!}`;
}

/** The convolutions that begin as zeros. */
function zero(name: string): string | undefined {
  const m = /^(?:zero_convs\.(\d+)|(middle_block_out))\.0\.(.+)$/.exec(name);
  if (!m) return undefined;
  return m[2] === undefined ? `controlnet_down_blocks.${m[1]!}.${m[3]!}` : `controlnet_mid_block.${m[3]!}`;
}

function fromAnimateDiff(file: WeightFile, names: readonly string[]): WeightFile {
  const table = new Map<string, Origin>();
  for (const name of names) {
    const local = name.replace(/^module\./, "");
    table.set(motionName(local) ?? local, { from: name });
  }
  return renameWeights(file, table);
}
