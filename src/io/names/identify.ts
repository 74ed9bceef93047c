// What a checkpoint is, by its names and shapes alone: for `inspect`, and for errors that say what a wrong file is.

import type { Folder } from "../folder.js";
import type { WeightFile } from "../weight-files.js";
import { embeddingTensor } from "./embedding.js";
import { loraPart } from "./lora.js";

export type CheckpointKind =
  | "sd15-single-file"
  | "sd15-inpainting"
  | "unet"
  | "unet-motion"
  | "vae"
  | "text-encoder"
  | "motion"
  | "motion-sdxl"
  | "lora"
  | "controlnet"
  | "t2i-adapter"
  | "sparse-control"
  | "textual-inversion"
  | "ip-adapter"
  | "image-encoder"
  | "safety-checker"
  | "sd2"
  | "sdxl"
  | "sd3"
  | "flux"
  | "svd"
  | "upscaler"
  | "diffusers-folder"
  | "unknown";

/** What a checkpoint is. */
export interface Identity {
  readonly kind: CheckpointKind;
  /** A phrase that names it, to follow "it is". */
  readonly description: string;
  /** Whether Kineograph can use it somewhere. */
  readonly usable: boolean;
  readonly tensors: number;
  readonly parameters: number;
  /** Tensors by stored type, most common first. */
  readonly dtypes: Readonly<Record<string, number>>;
  /** Facts by name: width, positions, spelling, … */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

type Details = Record<string, string | number | boolean>;
type Finding = readonly [kind: CheckpointKind, description: string, details?: Details];

/** Kinds that an option of the command line takes by themselves. */
const USABLE: ReadonlySet<CheckpointKind> = new Set<CheckpointKind>([
  "sd15-single-file",
  "unet-motion",
  "vae",
  "motion",
  "lora",
  "textual-inversion",
  "controlnet",
  "sparse-control",
  "ip-adapter",
  "image-encoder",
  "diffusers-folder",
]);

/** Names and shapes, asked in many ways. */
class Names {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly all: readonly string[];

  constructor(file: WeightFile) {
    this.#shapes = new Map([...file.entries()].map((e) => [e.name.replace(/^module\./, ""), e.shape]));
    this.all = [...this.#shapes.keys()];
  }
  shape(name: string): readonly number[] | undefined {
    return this.#shapes.get(name);
  }
  has(name: string): boolean {
    return this.#shapes.has(name);
  }
  some(pattern: RegExp): boolean {
    return this.all.some((n) => pattern.test(n));
  }
  find(pattern: RegExp): string | undefined {
    return this.all.find((n) => pattern.test(n));
  }
  count(pattern: RegExp): number {
    return this.all.reduce((n, name) => n + (pattern.test(name) ? 1 : 0), 0);
  }
}

/** Names what a checkpoint is. Reads no tensor. */
export function identify(file: WeightFile): Identity {
  const names = new Names(file);
  const dtypes = new Map<string, number>();
  let parameters = 0;
  for (const { dtype, shape } of file.entries()) {
    dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + 1);
    parameters += shape.reduce((n, s) => n * s, 1);
  }
  const [kind, description, details = {}] =
    adapters(names, file) ??
    singleFiles(names) ??
    motion(names) ??
    networks(names) ??
    (["unknown", "of no kind known here"] satisfies Finding);
  return {
    kind,
    description,
    usable: USABLE.has(kind),
    tensors: names.all.length,
    parameters,
    dtypes: Object.fromEntries([...dtypes].toSorted((a, b) => b[1] - a[1])),
    details,
  };
}

/** Small files that change or steer a model. */
function adapters(n: Names, file: WeightFile): Finding | undefined {
  const parts = n.all.map(loraPart).filter((p) => p !== undefined);
  if (parts.length * 2 > n.all.length) return lora(n, parts);
  if (n.some(/^image_proj\./) && n.some(/^ip_adapter\.|\.to_k_ip\.weight$/)) {
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

/** Everything in one file, in LDM's names. */
function singleFiles(n: Names): Finding | undefined {
  if (n.some(/^(model\.diffusion_model\.)?double_blocks\.\d+\.img_attn/)) return ["flux", "a Flux checkpoint"];
  if (n.some(/^(model\.diffusion_model\.)?joint_blocks\.\d+\./)) return ["sd3", "a Stable Diffusion 3 checkpoint"];
  const at = "model.diffusion_model.";
  const first = n.shape(`${at}input_blocks.0.0.weight`);
  if (!first)
    return n.some(/^model_ema\.diffusion_modelinput_blocks/)
      ? [
          "unknown",
          "a training checkpoint's running averages (model_ema) without the model itself",
          { ema: n.count(/^model_ema\./) },
        ]
      : undefined;
  const [width = 0, channels = 0] = first;
  if (n.has(`${at}label_emb.0.0.weight`)) {
    if (n.some(/time_stack\.|time_mixer/)) return ["svd", "a Stable Video Diffusion checkpoint"];
    return n.some(/^conditioner\.embedders\.1\./)
      ? ["sdxl", "an SDXL checkpoint"]
      : ["sdxl", "an SDXL (or related) checkpoint"];
  }
  const cross = n.find(/input_blocks\.\d+\.1\.transformer_blocks\.0\.attn2\.to_k\.weight$/);
  const context = cross === undefined ? 0 : (n.shape(cross)![1] ?? 0);
  if (n.some(/^cond_stage_model\.model\./) || context === 1024)
    return ["sd2", "a Stable Diffusion 2 checkpoint", { crossAttentionDim: context }];
  const details: Details = {
    width,
    crossAttentionDim: context,
    vae: n.some(/^first_stage_model\./),
    textEncoder: n.some(/^cond_stage_model\./),
    ema: n.count(/^model_ema\./),
  };
  if (channels === 9)
    return ["sd15-inpainting", "a Stable Diffusion 1.5 inpainting checkpoint (its UNet takes 9 channels)", details];
  if (channels === 7) return ["upscaler", "an upscaling checkpoint (its UNet takes 7 channels)", details];
  if (channels === 8) return ["unknown", "an InstructPix2Pix checkpoint (its UNet takes 8 channels)", details];
  return ["sd15-single-file", "a Stable Diffusion 1.x checkpoint in one file", details];
}

function motion(n: Names): Finding | undefined {
  const modules = n.count(/motion_modules\.\d+\.(temporal_transformer\.)?proj_in\.weight$/);
  if (modules === 0) return undefined;
  if (n.has("conv_in.weight") && n.some(/^down_blocks\.0\.resnets\.0\./))
    return ["unet-motion", "a UNet with motion modules (UNetMotionModel)", { modules, ...unetDetails(n) }];
  const original = n.some(/temporal_transformer/);
  const encoding = n.find(/pos_(encoder|embed)\.pe$/);
  const positions = encoding === undefined ? undefined : n.shape(encoding)![1];
  const middle = n.some(/^mid_block\.motion_modules/);
  const width = n.shape(n.find(/^down_blocks\.0\.motion_modules\.0\..*proj_in\.weight$/) ?? "")?.[0] ?? 0;
  const encoder = n.some(/^img_encoder\./);
  // SDXL's adapter has three levels, v1 24 positions, v2 a middle module; AnimateLCM's file has no encodings.
  const levels = new Set(n.all.map((name) => /^down_blocks\.(\d+)\./.exec(name)?.[1]).filter((l) => l !== undefined))
    .size;
  const version = encoder
    ? "AnimateLCM-I2V"
    : original && positions === undefined
      ? "AnimateLCM"
      : positions === 24
        ? "AnimateDiff v1"
        : middle
          ? "AnimateDiff v2 or AnimateLCM"
          : "AnimateDiff v3";
  const details: Details = {
    version,
    names: original ? "AnimateDiff" : "diffusers",
    modules,
    width,
    middle,
    imageEncoder: encoder,
    ...(positions !== undefined && { positions }),
  };
  if (levels === 3 && width === 320) return ["motion-sdxl", "an AnimateDiff motion module for SDXL", details];
  return ["motion", `a motion module (${version}) in ${original ? "AnimateDiff's own" : "diffusers'"} names`, details];
}

function unetDetails(n: Names): Details {
  const cross = n.find(/attn2\.to_k\.weight$/);
  return {
    width: n.shape("conv_in.weight")?.[0] ?? 0,
    inChannels: n.shape("conv_in.weight")?.[1] ?? 0,
    crossAttentionDim: cross === undefined ? 0 : (n.shape(cross)![1] ?? 0),
  };
}

/** One network by itself. */
function networks(n: Names): Finding | undefined {
  if (n.has("conv_in.weight") && n.some(/^down_blocks\.0\.resnets\.0\.time_emb_proj\./)) {
    const details = unetDetails(n);
    if (n.some(/^add_embedding\./))
      return [
        n.some(/temporal_transformer_blocks|temporal_res_block/) ? "svd" : "sdxl",
        "the UNet of SDXL or Stable Video Diffusion",
        details,
      ];
    if (details["crossAttentionDim"] === 1024) return ["sd2", "the UNet of Stable Diffusion 2", details];
    if (details["inChannels"] === 9)
      return ["sd15-inpainting", "the UNet of a Stable Diffusion inpainting model (9 channels)", details];
    return ["unet", "a UNet in diffusers' names", details];
  }
  if (n.has("decoder.conv_in.weight") || n.has("first_stage_model.decoder.conv_in.weight")) {
    const latent = (n.shape("decoder.conv_in.weight") ?? n.shape("first_stage_model.decoder.conv_in.weight"))?.[1] ?? 0;
    const form = n.some(/decoder\.up\.0\.|mid\.attn_1/)
      ? "LDM"
      : n.some(/\.proj_attn\./)
        ? "diffusers' old"
        : "diffusers";
    return [
      "vae",
      `a VAE (${latent} latent channels) in ${form} names`,
      { latentChannels: latent, names: form, encoder: n.some(/encoder\.conv_in/) },
    ];
  }
  if (n.some(/^(special_care_embeds|concept_embeds)$/)) return ["safety-checker", "a safety checker"];
  if (n.some(/^(vision_model|visual)\./) && !n.some(/^text_model\./)) return ["image-encoder", "a CLIP image encoder"];
  const tokens =
    n.shape("text_model.embeddings.token_embedding.weight") ??
    n.shape("embeddings.token_embedding.weight") ??
    n.shape("token_embedding.weight");
  if (tokens) {
    const width = tokens[1] ?? 0;
    const layers = new Set(n.all.map((name) => /layers\.(\d+)\./.exec(name)?.[1]).filter((l) => l !== undefined)).size;
    return ["text-encoder", `a CLIP text encoder of width ${width}`, { width, layers, vocabulary: tokens[0] ?? 0 }];
  }
  if (n.some(/^encoder\.block\.\d+\.layer\.0\.SelfAttention/)) return ["unknown", "a T5 text encoder (SD 3, Flux)"];
  return undefined;
}

/** What a folder is: a whole diffusers model by its model_index.json, a component by its config.json; undefined for neither. */
export async function identifyFolder(
  folder: Folder,
): Promise<
  { readonly kind: CheckpointKind; readonly className: string; readonly components: readonly string[] } | undefined
> {
  const paths = await folder.list();
  const read = async (path: string): Promise<Readonly<Record<string, unknown>>> => {
    const value: unknown = JSON.parse(await folder.readText(path));
    return typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value)) : {};
  };
  if (paths.includes("model_index.json")) {
    const index = await read("model_index.json");
    const className = String(index["_class_name"]);
    const components = Object.entries(index).filter(
      ([name, v]) => !name.startsWith("_") && Array.isArray(v) && v[0] !== null,
    );
    return { kind: "diffusers-folder", className, components: components.map(([name]) => name) };
  }
  if (!paths.includes("config.json")) return undefined;
  const config = await read("config.json");
  const architectures = config["architectures"];
  const className =
    typeof config["_class_name"] === "string"
      ? config["_class_name"]
      : Array.isArray(architectures)
        ? String(architectures[0])
        : "";
  return { kind: CLASSES[className] ?? "unknown", className, components: [] };
}

const CLASSES: Readonly<Record<string, CheckpointKind>> = {
  UNet2DConditionModel: "unet",
  UNetMotionModel: "unet-motion",
  AutoencoderKL: "vae",
  CLIPTextModel: "text-encoder",
  CLIPTextModelWithProjection: "text-encoder",
  CLIPVisionModelWithProjection: "image-encoder",
  MotionAdapter: "motion",
  ControlNetModel: "controlnet",
  SparseControlNetModel: "sparse-control",
  T2IAdapter: "t2i-adapter",
  StableDiffusionSafetyChecker: "safety-checker",
  FluxTransformer2DModel: "flux",
  SD3Transformer2DModel: "sd3",
  UNetSpatioTemporalConditionModel: "svd",
};
