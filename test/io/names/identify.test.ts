// What files are: every kind named by its names and shapes.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource } from "../../../src/io/byte-source.js";
import { memoryFolder } from "../../../src/io/folder.js";
import { identify, identifyFolder, type CheckpointKind } from "../../../src/io/names/identify.js";
import { openWeights } from "../../../src/io/weight-files.js";
import { fixturePath } from "../../support/fixtures.js";
import { fixtureJson, fixtureWeights, listedWeights, type Listed } from "./files.js";

type Row = readonly [string, readonly number[], string, readonly number[]];
const sd15 = fixtureJson<{
  readonly unet: readonly Row[];
  readonly vae: readonly Row[];
  readonly text: readonly Row[];
}>("sd15.json");
const { original, diffusers } = fixtureJson<{
  readonly original: readonly Listed[];
  readonly diffusers: readonly Listed[];
}>("motion.json");
const controlnet = fixtureJson<readonly Listed[]>("controlnet.json");
const ldm = (rows: readonly Row[]): Listed[] => rows.map(([, , n, s]) => [n, s]);
const own = (rows: readonly Row[]): Listed[] => rows.map(([n, s]) => [n, s]);
const whole = [...ldm(sd15.unet), ...ldm(sd15.vae), ...ldm(sd15.text)];
const at = "model.diffusion_model.";
const resized = (list: readonly Listed[], name: string, shape: number[]): Listed[] =>
  list.map(([n, s]) => [n, n === name ? shape : s]);
const noEncodings = original.filter(([n]) => !n.endsWith(".pe"));
const shorter = original
  .map(([n, s]): Listed => [n, n.endsWith(".pe") ? [1, 24, s[2]!] : s])
  .filter(([n]) => !n.startsWith("mid_block"));

describe("identify", () => {
  it.each<[string, readonly Listed[], CheckpointKind, RegExp]>([
    ["single file", whole, "sd15-single-file", /Stable Diffusion 1.x checkpoint in one file/],
    ["inpainting", resized(whole, `${at}input_blocks.0.0.weight`, [320, 9, 3, 3]), "sd15-inpainting", /inpainting/],
    [
      "SD 2",
      [
        [`${at}input_blocks.0.0.weight`, [320, 4, 3, 3]],
        ["cond_stage_model.model.ln_final.weight", [1024]],
      ],
      "sd2",
      /Stable Diffusion 2/,
    ],
    [
      "SDXL",
      [
        [`${at}input_blocks.0.0.weight`, [320, 4, 3, 3]],
        [`${at}label_emb.0.0.weight`, [1280, 2816]],
        ["conditioner.embedders.1.model.ln_final.weight", [1280]],
      ],
      "sdxl",
      /SDXL/,
    ],
    ["Flux", [[`${at}double_blocks.0.img_attn.proj.weight`, [3072, 3072]]], "flux", /Flux/],
    ["SD 3", [["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight", [1]]], "sd3", /Diffusion 3/],
    ["UNet", own(sd15.unet), "unet", /UNet in diffusers' names/],
    ["UNet with motion", [...own(sd15.unet), ...diffusers], "unet-motion", /UNetMotionModel/],
    ["VAE", own(sd15.vae), "vae", /4 latent channels\) in diffusers names/],
    ["LDM VAE", ldm(sd15.vae).map(([n, s]): Listed => [n.replace("first_stage_model.", ""), s]), "vae", /in LDM names/],
    ["text encoder", own(sd15.text), "text-encoder", /width 768/],
    ["AnimateDiff v2", original, "motion", /v2 .*AnimateDiff's own names/],
    ["AnimateDiff v1", shorter, "motion", /v1/],
    ["AnimateDiff v3", original.filter(([n]) => !n.startsWith("mid_block")), "motion", /v3/],
    ["AnimateLCM", noEncodings, "motion", /\(AnimateLCM\)/],
    ["AnimateLCM-I2V", [...noEncodings, ["img_encoder.conv_in.weight", [320, 4, 3, 3]]], "motion", /AnimateLCM-I2V/],
    ["`module.` before names", noEncodings.map(([n, s]): Listed => [`module.${n}`, s]), "motion", /AnimateLCM/],
    ["MotionAdapter", diffusers, "motion", /diffusers' names/],
    ["ControlNet", controlnet, "controlnet", /SD 1.5 in diffusers' names/],
    [
      "LDM ControlNet",
      [
        ["control_model.zero_convs.0.0.weight", [1]],
        ["control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", [320, 768]],
      ],
      "controlnet",
      /SD 1.5 in LDM/,
    ],
    [
      "IP-Adapter",
      [
        ["image_proj.proj.weight", [3072, 1024]],
        ["image_proj.norm.weight", [768]],
        ["ip_adapter.1.to_k_ip.weight", [320, 768]],
      ],
      "ip-adapter",
      /standard/,
    ],
    [
      "IP-Adapter Plus",
      [
        ["image_proj.latents", [1, 16, 768]],
        ["ip_adapter.1.to_k_ip.weight", [320, 768]],
      ],
      "ip-adapter",
      /Plus/,
    ],
    [
      "IP-Adapter FaceID, more of it a LoRA",
      [
        ["image_proj.proj.0.weight", [1024, 512]],
        ["image_proj.norm.weight", [768]],
        ["ip_adapter.1.to_k_ip.weight", [320, 768]],
        ...[0, 1, 2].flatMap((i): Listed[] => [
          [`ip_adapter.${i}.to_q_lora.down.weight`, [128, 320]],
          [`ip_adapter.${i}.to_q_lora.up.weight`, [320, 128]],
        ]),
      ],
      "ip-adapter",
      /FaceID/,
    ],
    ["embedding", [["emb_params", [4, 768]]], "textual-inversion", /of 4 vectors/],
    ["embedding .pt", [["string_to_param.*", [1, 768]]], "textual-inversion", /of 1 vector$/],
    ["image encoder", [["vision_model.embeddings.class_embedding", [1280]]], "image-encoder", /image encoder/],
    ["anything else", [["weight", [3, 3]]], "unknown", /no kind known/],
  ])("knows %s", (_, list, kind, description) => {
    const found = identify(listedWeights(list));
    expect([found.kind, found.tensors]).toEqual([kind, list.length]);
    expect(found.description).toMatch(description);
  });

  it.each(["lora-peft", "lora-diffusers", "lora-kohya", "lora-text"])("knows %s and its rank", async (name) => {
    const found = identify(await fixtureWeights(`${name}.safetensors`));
    expect([found.kind, found.details["rank"], found.usable]).toEqual(["lora", 2, true]);
    expect(found.details["textEncoder"]).toBe(name === "lora-text");
  });

  it("tells LoRAs of other families and forms apart", () => {
    const form = (list: readonly Listed[]) => identify(listedWeights(list)).description;
    expect(form([["lora_te2_x.lora_down.weight", [4, 8]]])).toBe("a LoRA for SDXL");
    expect(form([["lora_unet_x_attn2_to_k.lora_down.weight", [4, 2048]]])).toBe("a LoRA for SDXL");
    expect(form([["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", [4, 3072]]])).toBe(
      "a LoRA for Flux",
    );
    expect(
      form([
        ["lora_unet_conv_in.hada_w1_a", [4, 1]],
        ["lora_unet_conv_in.hada_w1_b", [1, 4]],
      ]),
    ).toBe("a LoHa for SD 1.5");
    expect(
      form([
        [
          "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0.attention_blocks.0.processor.to_q_lora.down.weight",
          [4, 320],
        ],
      ]),
    ).toBe("a motion LoRA for SD 1.5");
  });

  it("counts parameters and types", () => {
    const found = identify(listedWeights(own(sd15.unet)));
    expect(found.parameters).toBe(859_520_964);
    expect([found.dtypes, found.details]).toEqual([
      { F16: 686 },
      { width: 320, inChannels: 4, crossAttentionDim: 768 },
    ]);
    expect(identify(listedWeights(noEncodings)).parameters).toBe(453_209_280);
  });
});

describe("identifyFolder", () => {
  it("reads model_index.json and config.json", async () => {
    const index = {
      _class_name: "AnimateDiffPipeline",
      unet: ["diffusers", "UNet2DConditionModel"],
      safety_checker: [null, null],
    };
    expect(await identifyFolder(memoryFolder("m", new Map([["model_index.json", JSON.stringify(index)]])))).toEqual({
      kind: "diffusers-folder",
      className: "AnimateDiffPipeline",
      components: ["unet"],
    });
    expect(
      (await identifyFolder(memoryFolder("m", new Map([["config.json", '{"_class_name":"MotionAdapter"}']]))))?.kind,
    ).toBe("motion");
    expect(
      (await identifyFolder(memoryFolder("m", new Map([["config.json", '{"architectures":["CLIPTextModel"]}']]))))
        ?.kind,
    ).toBe("text-encoder");
    expect(await identifyFolder(memoryFolder("m", new Map()))).toBeUndefined();
    await expect(identifyFolder(memoryFolder("m", new Map([["config.json", "{"]])))).rejects.toThrow(
      "m/config.json is not valid JSON: download it again",
    );
  });
});

describe("what real writers wrote", () => {
  const forms = fixtureJson<{
    readonly t2i: { readonly full_adapter: readonly Listed[]; readonly light_adapter: readonly Listed[] };
    readonly ema: readonly Listed[];
    readonly pipeline: { readonly weights: Readonly<Record<string, readonly string[]>> };
  }>("forms.json");

  it.each<[string, CheckpointKind]>([
    ["tiny-a/unet/diffusion_pytorch_model.safetensors", "unet"],
    ["tiny-a/vae/diffusion_pytorch_model.safetensors", "vae"],
    ["tiny-a/text_encoder/model.safetensors", "text-encoder"],
    ["tiny-a/motion_adapter/diffusion_pytorch_model.safetensors", "motion"],
    ["tiny-a-controlnet/diffusion_pytorch_model.safetensors", "controlnet"],
    ["tiny-a-sparse/diffusion_pytorch_model.safetensors", "sparse-control"],
    ["tiny-b-t2i/diffusion_pytorch_model.safetensors", "t2i-adapter"],
    ["tiny-b-t2i-original.pth", "t2i-adapter"],
    ["tiny-a-i2v/diffusion_pytorch_model.safetensors", "motion"],
    ["tiny-a-ip-adapter.safetensors", "ip-adapter"],
    ["tiny-a-ip-plus.safetensors", "ip-adapter"],
    ["tiny-a-ip-full-face.bin", "ip-adapter"],
    ["tiny-a-ip-encoder/model.safetensors", "image-encoder"],
    ["tiny-a-lora.safetensors", "lora"],
    ["lora/dora.safetensors", "lora"],
    ["lora/dora-kohya.safetensors", "lora"],
    ["lora/motion.safetensors", "lora"],
    ["embeddings/toy.safetensors", "textual-inversion"],
  ])("%s is %s", async (path, kind) => {
    const file = await openWeights(memorySource(path, readFileSync(fixturePath(path))));
    expect(identify(file).kind).toBe(kind);
  });

  it("T2I-Adapters, full and light, in diffusers' and the original names", () => {
    const what = (list: readonly Listed[]) => identify(listedWeights(list)).description;
    const original = (list: readonly Listed[]) =>
      list
        .map(([n, s]): Listed => [n.replace("adapter.", "").replace(".resnets.0", ""), s])
        .filter(([n]) => !n.includes("resnets"));
    expect(what(forms.t2i.full_adapter)).toBe("a T2I-Adapter (full)");
    expect(what(forms.t2i.light_adapter)).toBe("a T2I-Adapter (light)");
    expect(what(original(forms.t2i.full_adapter))).toBe("a T2I-Adapter (full)");
  });

  it("running averages alone, and beside their model", () => {
    expect(identify(listedWeights(forms.ema)).description).toMatch(/running averages .* without the model/);
    const both = identify(listedWeights([...whole, ...forms.ema]));
    expect([both.kind, both.details["ema"]]).toEqual(["sd15-single-file", 688]);
  });

  it("AnimateDiffPipeline's folder: its UNet carries the motion modules", () => {
    const names = forms.pipeline.weights["unet/diffusion_pytorch_model.safetensors"]!;
    const shapes = names.map((n): Listed => [n, n === "conv_in.weight" ? [16, 4, 3, 3] : [1]]);
    expect(identify(listedWeights(shapes)).kind).toBe("unet-motion");
  });
});
