// One-file checkpoints of Stable Diffusion 1.x in LDM's names (CompVis; A1111, ComfyUI and model-sharing sites) as the three
// networks in diffusers' names, and back. `model.diffusion_model.` is the UNet, `first_stage_model.` the VAE,
// `cond_stage_model.transformer.` CLIP's text model.

import { CheckpointError } from "../errors.js";
import type { StoredType } from "../stored-types.js";
import type { WeightFile } from "../weight-files.js";
import { renameWeights, type NameTable, type Origin } from "./renamed.js";
import { unetFromLdm, unetToLdm } from "./unet.js";
import { vaeTable, vaeToLdm } from "./vae.js";

export const UNET_PREFIX = "model.diffusion_model.";
export const VAE_PREFIX = "first_stage_model.";
export const CLIP_PREFIX = "cond_stage_model.transformer.";

/** The networks of a one-file checkpoint, in diffusers' names; a part that the file lacks is undefined. */
export interface SingleFile {
  readonly unet: WeightFile;
  readonly vae: WeightFile | undefined;
  readonly text: WeightFile | undefined;
  /** What was left out, one sentence each. */
  readonly notes: readonly string[];
}

/**
 * Splits a one-file checkpoint. Closing any part closes the file.
 * @throws CheckpointError where names of the UNet are in no known place
 */
export function splitSingleFile(file: WeightFile): SingleFile {
  const names = [...file.entries()].map((e) => e.name);
  const notes: string[] = [];
  const unetNames = names.filter((n) => n.startsWith(UNET_PREFIX)).map((n) => n.slice(UNET_PREFIX.length));
  const pairs = unetFromLdm(unetNames);
  if (pairs.size !== unetNames.length) {
    const mapped = new Set(pairs.values());
    const odd = unetNames.find((n) => !mapped.has(n));
    throw new CheckpointError(
      `${file.name}: its UNet has a tensor ${UNET_PREFIX}${odd ?? "?"}, which Stable Diffusion 1.5 does not have; it is a checkpoint of another family`,
    );
  }
  const unet: NameTable = new Map([...pairs].map(([to, from]) => [to, { from: UNET_PREFIX + from }]));
  const vae = vaeTable(file, VAE_PREFIX);
  const text = clipTable(file, CLIP_PREFIX);
  const used = new Set([unet, vae, text].flatMap((t) => [...t.values()].map((o) => o.from)));
  const rest = names.filter((n) => !used.has(n) && !n.endsWith("position_ids"));
  const ema = rest.filter((n) => n.startsWith("model_ema."));
  if (ema.length > 0)
    notes.push(`${ema.length} tensors of model_ema (running averages kept for training) are not used`);
  const others = rest.filter((n) => !n.startsWith("model_ema.") && !BOOKKEEPING.test(n));
  if (others.length > 0)
    notes.push(
      `${others.length} other tensors are not used: ${others.slice(0, 5).join(", ")}${others.length > 5 ? ", …" : ""}`,
    );
  return {
    unet: renameWeights(file, unet, `${file.name} (UNet)`, notes),
    vae: vae.size === 0 ? undefined : renameWeights(file, vae, `${file.name} (VAE)`),
    text: text.size === 0 ? undefined : renameWeights(file, text, `${file.name} (text encoder)`),
    notes,
  };
}

/** Noise schedules and other constants that LDM saves with the weights. */
const BOOKKEEPING =
  /^(betas|alphas_cumprod(_prev)?|sqrt_\w+|log_one_minus_\w+|posterior_\w+|logvar|lvlb_weights|scale_factor|first_stage_model\.(loss|model_ema)\..+|(denoiser|conditioner)\.sigmas)$/;

/** diffusers' names of CLIP's text model, also from files that leave `text_model.` out. */
export function clipTable(file: WeightFile, prefix = ""): NameTable {
  const table = new Map<string, Origin>();
  for (const { name } of file.entries()) {
    if (!name.startsWith(prefix) || name.endsWith("position_ids")) continue;
    const local = name.slice(prefix.length);
    const full = /^(embeddings|encoder|final_layer_norm)\./.test(local) ? `text_model.${local}` : local;
    if (full.startsWith("text_model.")) table.set(full, { from: name });
  }
  return table;
}

/** A tensor of the joined file: its LDM name, the network and diffusers name it comes from. */
export interface SingleFileEntry {
  readonly name: string;
  readonly part: "unet" | "vae" | "text";
  readonly from: string;
  readonly shape: readonly number[];
  readonly dtype: StoredType;
}

/**
 * The names and shapes of a one-file checkpoint made of networks in diffusers' names.
 * @throws CheckpointError for tensors that the one-file form has no name for (motion modules, SDXL)
 */
export function joinSingleFile(parts: {
  readonly unet: WeightFile;
  readonly vae: WeightFile;
  readonly text: WeightFile;
}): SingleFileEntry[] {
  const list: SingleFileEntry[] = [];
  const vae = renameWeights(parts.vae, vaeTable(parts.vae));
  const add = (part: SingleFileEntry["part"], file: WeightFile, prefix: string, pairs: ReadonlyMap<string, string>) => {
    const mapped = new Set(pairs.values());
    for (const { name } of file.entries())
      if (!mapped.has(name) && !name.endsWith("position_ids"))
        throw new CheckpointError(
          `${file.name}: ${name} has no place in a one-file checkpoint of Stable Diffusion 1.5`,
        );
    for (const [to, from] of pairs) {
      const { shape, dtype } = file.entry(from);
      const convolution = part === "vae" && /\.attn_1\.(q|k|v|proj_out)\.weight$/.test(to) && shape.length === 2;
      list.push({ name: prefix + to, part, from, shape: convolution ? [...shape, 1, 1] : shape, dtype });
    }
  };
  const namesOf = (file: WeightFile) => [...file.entries()].map((e) => e.name);
  add("unet", parts.unet, UNET_PREFIX, unetToLdm(namesOf(parts.unet)));
  add("vae", vae, VAE_PREFIX, vaeToLdm(namesOf(vae)));
  const text = namesOf(parts.text).filter((n) => n.startsWith("text_model.") && !n.endsWith("position_ids"));
  add("text", parts.text, CLIP_PREFIX, new Map(text.map((n) => [n, n])));
  return list;
}
