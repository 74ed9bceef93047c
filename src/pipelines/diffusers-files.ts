// What a diffusers folder holds beside weights: model_index.json, each part's config.json, the scheduler's and the tokenizer's
// files. Values are Stable Diffusion 1.5's published ones, sizes those of the weights.

import type { WeightFile } from "../io/weight-files.js";
import { openaiVocabulary } from "../models/clip/openai-vocabulary.js";
import { inferMotionConfig, inferTextConfig, inferUNetConfig, inferVAEConfig } from "./infer-config.js";

type Json = Readonly<Record<string, unknown>>;

/** The release whose files these are like. */
const DIFFUSERS = { _diffusers_version: "0.39.0" };

const text = (json: Json): string => `${JSON.stringify(json, null, 2)}\n`;

export function modelIndex(): string {
  return text({
    _class_name: "StableDiffusionPipeline",
    ...DIFFUSERS,
    feature_extractor: [null, null],
    image_encoder: [null, null],
    requires_safety_checker: false,
    safety_checker: [null, null],
    scheduler: ["diffusers", "PNDMScheduler"],
    text_encoder: ["transformers", "CLIPTextModel"],
    tokenizer: ["transformers", "CLIPTokenizer"],
    unet: ["diffusers", "UNet2DConditionModel"],
    vae: ["diffusers", "AutoencoderKL"],
  });
}

/** Stable Diffusion 1.5's: PLMS on scaled linear betas. */
export function schedulerConfig(): string {
  return text({
    _class_name: "PNDMScheduler",
    ...DIFFUSERS,
    beta_end: 0.012,
    beta_schedule: "scaled_linear",
    beta_start: 0.00085,
    clip_sample: false,
    num_train_timesteps: 1000,
    prediction_type: "epsilon",
    set_alpha_to_one: false,
    skip_prk_steps: true,
    steps_offset: 1,
    timestep_spacing: "leading",
    trained_betas: null,
  });
}

/** One number for a list of equal ones, as diffusers writes it. */
function collapsed(json: Json): Json {
  return Object.fromEntries(
    Object.entries(json).map(([key, v]) =>
      Array.isArray(v) && typeof v[0] === "number" && key !== "block_out_channels" && v.every((x) => x === v[0])
        ? [key, v[0] as number]
        : [key, v],
    ),
  );
}

export function unetConfig(file: WeightFile): string {
  const json = collapsed(inferUNetConfig(file).json);
  return text({
    _class_name: "UNet2DConditionModel",
    ...DIFFUSERS,
    act_fn: "silu",
    center_input_sample: false,
    downsample_padding: 1,
    flip_sin_to_cos: true,
    freq_shift: 0,
    mid_block_scale_factor: 1,
    norm_eps: 1e-5,
    norm_num_groups: 32,
    sample_size: 64,
    ...json,
  });
}

export function vaeConfig(file: WeightFile): string {
  const { json } = inferVAEConfig(file);
  const levels = (json["block_out_channels"] as readonly number[]).length;
  return text({
    _class_name: "AutoencoderKL",
    ...DIFFUSERS,
    act_fn: "silu",
    down_block_types: Array.from({ length: levels }, () => "DownEncoderBlock2D"),
    in_channels: 3,
    norm_num_groups: 32,
    out_channels: 3,
    sample_size: 512,
    scaling_factor: 0.18215,
    up_block_types: Array.from({ length: levels }, () => "UpDecoderBlock2D"),
    ...json,
  });
}

export function textConfig(file: WeightFile): string {
  return text({
    architectures: ["CLIPTextModel"],
    attention_dropout: 0,
    bos_token_id: 0,
    dropout: 0,
    eos_token_id: 2,
    hidden_act: "quick_gelu",
    initializer_factor: 1,
    initializer_range: 0.02,
    layer_norm_eps: 1e-5,
    model_type: "clip_text_model",
    pad_token_id: 1,
    projection_dim: 768,
    ...inferTextConfig(file).json,
  });
}

/** `positions` as stored in the weights. */
export function motionConfig(file: WeightFile, positions: number): string {
  return text({
    _class_name: "MotionAdapter",
    ...DIFFUSERS,
    conv_in_channels: null,
    motion_mid_block_layers_per_block: 1,
    motion_norm_num_groups: 32,
    ...collapsed(inferMotionConfig(file, positions).json),
  });
}

/** The files of CLIP's tokenizer, by name. */
export async function tokenizerFiles(): Promise<ReadonlyMap<string, string>> {
  const { vocab, ranks } = await openaiVocabulary();
  const token = (content: string) => ({ content, lstrip: false, normalized: true, rstrip: false, single_word: false });
  const [bos, eos] = [token("<|startoftext|>"), token("<|endoftext|>")];
  return new Map([
    ["vocab.json", JSON.stringify(Object.fromEntries(vocab))],
    ["merges.txt", `#version: 0.2\n${[...ranks.keys()].join("\n")}\n`],
    ["special_tokens_map.json", text({ bos_token: bos, eos_token: eos, pad_token: "<|endoftext|>", unk_token: eos })],
    [
      "tokenizer_config.json",
      text({
        add_prefix_space: false,
        bos_token: { __type: "AddedToken", ...bos },
        do_lower_case: true,
        eos_token: { __type: "AddedToken", ...eos },
        errors: "replace",
        model_max_length: 77,
        pad_token: "<|endoftext|>",
        tokenizer_class: "CLIPTokenizer",
        unk_token: { __type: "AddedToken", ...eos },
      }),
    ],
  ]);
}
