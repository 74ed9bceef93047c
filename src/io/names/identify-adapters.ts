// Which adapter a file is: LoRA, IP-Adapter, embedding, ControlNet, SparseCtrl, T2I-Adapter.

import type { WeightFile } from "../weight-files.js";
import { embeddingTensor } from "./embedding.js";
import type { Finding, Names } from "./findings.js";
import { loraPart } from "./lora.js";

/** Small files that change or steer a model. */
export function identifyAdapter(n: Names, file: WeightFile): Finding | undefined {
  if (n.some(/^image_proj\./) && n.some(/^ip_adapter\.|\.to_k_ip\.weight$/)) {
    // Before LoRAs: FaceID files hold more of a LoRA than of an adapter.
    const form = n.has("image_proj.latents")
      ? "Plus"
      : n.has("image_proj.proj.3.weight")
        ? "Full Face"
        : n.some(/^image_proj\.perceiver_resampler\./)
          ? "FaceID Plus"
          : n.has("image_proj.norm.weight") && n.has("image_proj.proj.weight")
            ? "standard"
            : "FaceID";
    const key = n.find(/to_k_ip\.weight$/);
    return [
      "ip-adapter",
      `an IP-Adapter (${form})`,
      { form, ...(key !== undefined && { crossAttentionDim: n.shape(key)![1] ?? 0 }) },
    ];
  }
  const parts = n.all.map(loraPart).filter((p) => p !== undefined);
  if (parts.length * 2 > n.all.length) return lora(n, parts);
  const embedding = embeddingTensor(file);
  if (embedding) {
    const { vectors, width, sdxl } = embedding;
    const base = sdxl ? " for SDXL" : width === 1024 ? " for Stable Diffusion 2" : "";
    return [
      "textual-inversion",
      `a textual-inversion embedding of ${vectors} vector${vectors === 1 ? "" : "s"}${base}`,
      { vectors, width, base: sdxl ? "SDXL" : width === 1024 ? "SD 2" : "SD 1.5" },
    ];
  }
  if (
    n.some(/^control_model\./) ||
    n.some(/^controlnet_cond_embedding\./) ||
    n.some(/^(input_hint_block|zero_convs)\./)
  ) {
    if (n.some(/motion_modules\./)) return ["sparse-control", "an AnimateDiff SparseCtrl encoder"];
    const form = n.some(/^controlnet_cond_embedding\./) ? "diffusers" : "LDM";
    const query = n.find(/attn2\.to_k\.weight$/);
    const width = query === undefined ? 0 : (n.shape(query)![1] ?? 0);
    const family = width === 768 ? "SD 1.5" : width === 1024 ? "SD 2" : width === 2048 ? "SDXL" : "an unknown model";
    return [
      "controlnet",
      `a ControlNet for ${family} in ${form === "LDM" ? "LDM's" : "diffusers'"} names`,
      { names: form, crossAttentionDim: width },
    ];
  }
  // diffusers puts resnets in between; light adapters begin with in_conv.
  if (n.some(/^(adapter\.)?body\.\d+\.(resnets\.\d+\.)?block1\./)) {
    const form = n.some(/^(adapter\.)?body\.\d+\.in_conv\./) && !n.some(/^(adapter\.)?conv_in\./) ? "light" : "full";
    return ["t2i-adapter", `a T2I-Adapter (${form})`, { form, names: n.some(/^adapter\./) ? "diffusers" : "original" }];
  }
  return undefined;
}

function lora(n: Names, parts: readonly { readonly module: string; readonly spelling: string | undefined }[]): Finding {
  const modules = new Set(parts.map((p) => p.module));
  const has = (pattern: RegExp) => [...modules].some((m) => pattern.test(m));
  const text = has(/^(lora_te\d?_|text_encoder\.)|(^|[._])text_model[._]/);
  const moving = has(/motion_modules[._]/);
  // SDXL's middle block has ten transformer layers, and it has two text encoders; Flux has neither.
  const sdxl = has(
    /^lora_te2_|^text_encoder_2\.|(mid_block|middle_block).*transformer_blocks[._]9[._]|input_blocks_[478]_1_transformer_blocks_[1-9]_/,
  );
  const flux = has(/(double|single)_blocks[._]\d+|single_transformer_blocks[._]/);
  const crossWidth = n.all.find((name) => /attn2[._]to_[kv].*(lora_down|lora_A|lora\.down)/.test(name));
  const width = crossWidth === undefined ? undefined : n.shape(crossWidth)?.[1];
  const base = flux ? "Flux" : sdxl || width === 2048 ? "SDXL" : width === 1024 ? "SD 2" : "SD 1.5";
  const down = n.find(/lora_down\.weight$|lora_A(\.\w+)?\.weight$|lora\.down\.weight$|hada_w1_b$/);
  const spellings = [...new Set(parts.map((p) => p.spelling).filter((s) => s !== undefined))];
  const form = n.some(/hada_w1_a$/)
    ? "LoHa"
    : n.some(/lokr_w/)
      ? "LoKr"
      : n.some(/dora_scale$|lora_magnitude_vector/)
        ? "DoRA"
        : n.some(/lora_mid\.weight$/)
          ? "LoCon"
          : "LoRA";
  const what = moving ? "motion " : "";
  return [
    "lora",
    `a ${what}${form} for ${base}`,
    {
      base,
      form,
      modules: modules.size,
      ...(down !== undefined && { rank: n.shape(down)![0] ?? 0 }),
      spelling: spellings.join(", "),
      textEncoder: text,
      motion: moving,
    },
  ];
}
