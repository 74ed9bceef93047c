// Which model, or network of one, a file is.

import type { Details, Finding, Names } from "./findings.js";

/** Everything in one file, in LDM's names. */
export function identifySingleFile(n: Names): Finding | undefined {
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

/** Motion modules, by themselves or in a UNet. */
export function identifyMotion(n: Names): Finding | undefined {
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
export function identifyNetwork(n: Names): Finding | undefined {
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
