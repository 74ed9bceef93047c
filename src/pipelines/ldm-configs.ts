// One-file checkpoints carry no configuration: whoever reads one takes Stable Diffusion 1.5's. A model that differs there would
// come back as another one, so it is not written.

import { CheckpointError } from "../io/errors.js";
import type { Folder } from "../io/folder.js";

/** Settings that shapes do not show, with Stable Diffusion 1.5's values; what is absent has diffusers' default. */
const WANTED: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>> = {
  "unet/config.json": {
    _class_name: ["UNet2DConditionModel", "UNetMotionModel"],
    attention_head_dim: [8],
    num_attention_heads: [8, null],
    norm_num_groups: [32],
    norm_eps: [1e-5],
    flip_sin_to_cos: [true],
    freq_shift: [0],
  },
  "vae/config.json": {
    norm_num_groups: [32],
    scaling_factor: [0.18215],
    shift_factor: [0, null],
  },
  "text_encoder/config.json": { hidden_act: ["quick_gelu"], layer_norm_eps: [1e-5] },
  "motion_adapter/config.json": {
    motion_num_attention_heads: [8],
    motion_norm_num_groups: [32],
    conv_in_channels: [null],
  },
  "scheduler/scheduler_config.json": { prediction_type: ["epsilon"] },
};

/** Checks a whole model. @throws CheckpointError naming the first setting that one file cannot carry */
export async function checkLdmConfigs(folder: Folder): Promise<void> {
  const paths = await folder.list();
  for (const path of Object.keys(WANTED))
    if (paths.includes(path)) checkLdmConfig(`${folder.name}/${path}`, await folder.readText(path), path);
}

/** Checks one part's config.json; `as` tells whose settings count, as a path of a model's folder. */
export function checkLdmConfig(name: string, text: string, as: string): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError(`${name} is not valid JSON: download it again`, { cause });
  }
  if (typeof json !== "object" || json === null) throw new CheckpointError(`${name} should be a JSON object`);
  const values = new Map<string, unknown>(Object.entries(json));
  for (const [key, wanted] of Object.entries(WANTED[as] ?? {})) {
    const value = values.get(key);
    const all = Array.isArray(value) ? (value as readonly unknown[]) : [value];
    const odd = all.find((v) => v !== undefined && !wanted.includes(v));
    if (odd !== undefined)
      throw new CheckpointError(
        `${name}: ${key} is ${JSON.stringify(odd)}, which a file without config.json cannot say: it would be read with Stable Diffusion 1.5's ${JSON.stringify(wanted[0])}; keep the folder`,
      );
  }
}
