// The modules of Stable Diffusion 1.x that a LoRA can change, by their diffusers names, with the spellings other programs give
// them. Underscored names (kohya's) cannot be split back by rule, as names have underscores of their own: hence lists.

import { unetToLdm } from "./unet.js";

/** Where a module belongs. */
export type LoraTarget = "unet" | "text" | "motion";

const MIXER = ["to_q", "to_k", "to_v", "to_out.0"].map((p) => [`attn1.${p}`, `attn2.${p}`]).flat();
const FEED = ["ff.net.0.proj", "ff.net.2"];
const RESNET = ["conv1", "conv2", "time_emb_proj", "conv_shortcut", "norm1", "norm2"];

function transformer(prefix: string, extra: readonly string[]): string[] {
  const block = [...MIXER, ...FEED, "norm1", "norm2", "norm3"].map((p) => `${prefix}.transformer_blocks.0.${p}`);
  return [...block, ...["proj_in", "proj_out", ...extra].map((p) => `${prefix}.${p}`)];
}

/** All module names of the UNet with motion modules: four levels of two layers, attention on three, whatever the widths. */
function unetModules(): string[] {
  const names = ["conv_in", "conv_out", "conv_norm_out", "time_embedding.linear_1", "time_embedding.linear_2"];
  const level = (at: string, layers: number, attentive: boolean, sampler: string | undefined) => {
    for (let l = 0; l < layers; l++) {
      names.push(...RESNET.map((p) => `${at}.resnets.${l}.${p}`));
      if (attentive) names.push(...transformer(`${at}.attentions.${l}`, ["norm"]));
      names.push(...transformer(`${at}.motion_modules.${l}`, ["norm"]));
    }
    if (sampler !== undefined) names.push(`${at}.${sampler}`);
  };
  for (let i = 0; i < 4; i++) {
    level(`down_blocks.${i}`, 2, i < 3, i < 3 ? "downsamplers.0.conv" : undefined);
    level(`up_blocks.${i}`, 3, i > 0, i < 3 ? "upsamplers.0.conv" : undefined);
  }
  for (const r of [0, 1]) names.push(...RESNET.map((p) => `mid_block.resnets.${r}.${p}`));
  names.push(
    ...transformer("mid_block.attentions.0", ["norm"]),
    ...transformer("mid_block.motion_modules.0", ["norm"]),
  );
  return names;
}

/** Module names of CLIP's text model, up to 24 layers. */
function textModules(): string[] {
  const names = [
    "text_model.embeddings.token_embedding",
    "text_model.embeddings.position_embedding",
    "text_model.final_layer_norm",
  ];
  const parts = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "mlp.fc1",
    "mlp.fc2",
    "layer_norm1",
    "layer_norm2",
  ];
  for (let l = 0; l < 24; l++) names.push(...parts.map((p) => `text_model.encoder.layers.${l}.${p}`));
  return names;
}

export interface KnownModule {
  readonly target: LoraTarget;
  /** diffusers' name, as `text_model.…` or `down_blocks.…`. */
  readonly name: string;
}

function known(name: string): KnownModule {
  return {
    name,
    target: name.startsWith("text_model.") ? "text" : name.includes("motion_modules.") ? "motion" : "unet",
  };
}

let underscored: ReadonlyMap<string, KnownModule> | undefined;

/** kohya's names (`lora_unet_…`, `lora_te_…`; LDM's block names too) → modules. */
export function kohyaModules(): ReadonlyMap<string, KnownModule> {
  if (underscored) return underscored;
  const map = new Map<string, KnownModule>();
  const add = (prefix: string, spelled: string, module: KnownModule) =>
    map.set(`${prefix}_${spelled.replaceAll(".", "_")}`, module);
  const unet = unetModules();
  for (const name of unet) add("lora_unet", name, known(name));
  // LDM's tables are of tensors: a weight stands for its module.
  const tensors = unet.filter((n) => !n.includes("motion_modules.")).map((n) => `${n}.weight`);
  for (const [ldm, name] of unetToLdm(tensors))
    add("lora_unet", ldm.slice(0, -".weight".length), known(name.slice(0, -".weight".length)));
  for (const name of textModules()) {
    add("lora_te", name, known(name));
    add("lora_te1", name, known(name));
  }
  return (underscored = map);
}

let dotted: ReadonlySet<string> | undefined;

/** A module by its diffusers name, undefined where Stable Diffusion 1.x has none of that name. */
export function knownModule(name: string): KnownModule | undefined {
  dotted ??= new Set([...unetModules(), ...textModules()]);
  return dotted.has(name) ? known(name) : undefined;
}
