// LoRA files: the spellings as peft and diffusers write them, the others by example.

import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../../src/io/errors.js";
import { loraDelta } from "../../../src/io/names/lora-delta.js";
import { readLora } from "../../../src/io/names/lora.js";
import { openSafetensors, writeSafetensors } from "../../../src/io/safetensors.js";
import { memorySource } from "../../../src/io/byte-source.js";
import { safetensorsWeights } from "../../../src/io/weight-files.js";
import { fixtureJson, fixtureWeights, valueWeights } from "./files.js";
import { Chance, fuzzCount } from "../mutations.js";

const expected = fixtureJson<readonly string[]>("lora-modules.json");
const ones = (...shape: number[]) => [shape, Array<number>(shape.reduce((n, s) => n * s, 1)).fill(1)] as const;

describe("readLora", () => {
  it.each([
    ["lora-peft.safetensors", ["peft"]],
    ["lora-diffusers.safetensors", ["diffusers", "peft"]],
    ["lora-kohya.safetensors", ["kohya"]],
  ])("matches every module of %s", async (file, spellings) => {
    const lora = await readLora(await fixtureWeights(file));
    expect([...lora.modules.keys()].toSorted()).toEqual(expected);
    expect([lora.kind, lora.unmatched]).toEqual(["spatial", []]);
    expect([...lora.spellings].toSorted()).toEqual(spellings);
    for (const m of lora.modules.values()) expect([m.type, m.rank]).toEqual(["lora", 2]);
  });

  it("reads the text encoder's, and tells it apart", async () => {
    const lora = await readLora(await fixtureWeights("lora-text.safetensors"));
    expect([...lora.modules.keys()]).toEqual(
      expect.arrayContaining(["text_model.encoder.layers.0.mlp.fc1", "text_model.encoder.layers.1.self_attn.q_proj"]),
    );
    expect([lora.kind, lora.modules.size, lora.unmatched]).toEqual(["text", 4, []]);
  });

  const pair = (module: string, down = ".lora_down.weight", up = ".lora_up.weight") => ({
    [module + down]: ones(2, 4),
    [module + up]: ones(4, 2),
  });
  it.each<[string, string, string?, string?]>([
    [
      "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
      "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
    ],
    ["lora_unet_output_blocks_5_2_conv", "up_blocks.1.upsamplers.0.conv"],
    ["lora_unet_output_blocks_2_1_conv", "up_blocks.0.upsamplers.0.conv"],
    ["lora_unet_input_blocks_3_0_op", "down_blocks.0.downsamplers.0.conv"],
    ["lora_unet_input_blocks_2_0_emb_layers_1", "down_blocks.0.resnets.1.time_emb_proj"],
    ["lora_unet_middle_block_1_proj_in", "mid_block.attentions.0.proj_in"],
    ["lora_unet_time_embed_0", "time_embedding.linear_1"],
    [
      "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
      "up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj",
    ],
    ["lora_te_text_model_encoder_layers_11_self_attn_out_proj", "text_model.encoder.layers.11.self_attn.out_proj"],
    ["lora_te1_text_model_encoder_layers_0_mlp_fc1", "text_model.encoder.layers.0.mlp.fc1"],
    [
      "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
      "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
      ".lora.down.weight",
      ".lora.up.weight",
    ],
    [
      "base_model.model.mid_block.attentions.0.proj_out",
      "mid_block.attentions.0.proj_out",
      ".lora_A.default.weight",
      ".lora_B.default.weight",
    ],
    [
      "text_encoder.text_model.encoder.layers.3.self_attn.q_proj",
      "text_model.encoder.layers.3.self_attn.q_proj",
      ".lora_linear_layer.down.weight",
      ".lora_linear_layer.up.weight",
    ],
    [
      "text_encoder.text_model.encoder.layers.3.self_attn.to_out",
      "text_model.encoder.layers.3.self_attn.out_proj",
      "_lora.down.weight",
      "_lora.up.weight",
    ],
    [
      "down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_q",
      "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q",
      "_lora.down.weight",
      "_lora.up.weight",
    ],
    [
      "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out",
      "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0",
      "_lora.down.weight",
      "_lora.up.weight",
    ],
    [
      "module.down_blocks.0.motion_modules.1.temporal_transformer.transformer_blocks.0.attention_blocks.1.processor.to_k",
      "down_blocks.0.motion_modules.1.transformer_blocks.0.attn2.to_k",
      "_lora.down.weight",
      "_lora.up.weight",
    ],
    [
      "down_blocks.0.motion_modules.1.transformer_blocks.0.attn1.to_out.0",
      "down_blocks.0.motion_modules.1.transformer_blocks.0.attn1.to_out.0",
      ".lora_A.weight",
      ".lora_B.weight",
    ],
  ])("knows %s", async (spelled, module, down, up) => {
    const lora = await readLora(await valueWeights(pair(spelled, down, up)));
    expect([[...lora.modules.keys()], lora.unmatched]).toEqual([[module], []]);
    expect(lora.kind).toBe(module.includes("motion") ? "motion" : module.startsWith("text") ? "text" : "spatial");
  });

  it("takes alpha from the file, from diffusers' metadata, else the rank", async () => {
    const names = ["lora_unet_conv_in", "lora_unet_conv_out"];
    const lora = await readLora(
      await valueWeights({ ...pair(names[0]!), ...pair(names[1]!), "lora_unet_conv_in.alpha": [[], [8]] }),
    );
    expect([lora.modules.get("conv_in")!.alpha, lora.modules.get("conv_out")!.alpha]).toEqual([8, 2]);
    const settings = { "unet.r": 2, "unet.lora_alpha": 6, "unet.alpha_pattern": { conv_out: 3 } };
    const tuned = await readLora(
      await valueWeights(
        {
          ...pair("unet.conv_in", ".lora_A.weight", ".lora_B.weight"),
          ...pair("unet.conv_out", ".lora_A.weight", ".lora_B.weight"),
        },
        [["lora_adapter_metadata", JSON.stringify(settings)]],
      ),
    );
    expect([tuned.modules.get("conv_in")!.alpha, tuned.modules.get("conv_out")!.alpha]).toEqual([6, 3]);
  });

  it("lists what does not belong to Stable Diffusion 1.5 or is incomplete", async () => {
    const lora = await readLora(
      await valueWeights({
        ...pair("lora_unet_conv_in"),
        ...pair("lora_te2_text_model_encoder_layers_0_mlp_fc1"),
        "lora_unet_conv_out.lora_down.weight": ones(2, 4),
      }),
    );
    expect(lora.unmatched).toEqual(
      expect.arrayContaining(["lora_te2_text_model_encoder_layers_0_mlp_fc1", "lora_unet_conv_out"]),
    );
    expect(lora.modules.size).toBe(1);
  });

  it.each<[string, Parameters<typeof valueWeights>[0], RegExp]>([
    ["no LoRA at all", { "conv_in.weight": ones(2, 2) }, /no LoRA/],
    [
      "ranks that differ",
      { "lora_unet_conv_in.lora_down.weight": ones(2, 4), "lora_unet_conv_in.lora_up.weight": ones(4, 3) },
      /do not fit each other/,
    ],
    [
      "an alpha that is no number",
      { ...pair("lora_unet_conv_in"), "lora_unet_conv_in.alpha": [[], [NaN]] },
      /alpha of "lora_unet_conv_in"/,
    ],
    ["a module twice", { ...pair("lora_unet_conv_in"), ...pair("lora_unet_input_blocks_0_0") }, /conv_in twice/],
  ])("refuses %s", async (_, tensors, message) => {
    await expect(readLora(await valueWeights(tensors))).rejects.toThrow(message);
  });
});

describe("LoRA files under mutation", () => {
  it("are read or refused with an error of ours", async () => {
    const chance = new Chance(13);
    const parts = [
      "lora_down.weight",
      "lora_up.weight",
      "lora_mid.weight",
      "alpha",
      "dora_scale",
      "hada_w1_a",
      "hada_w1_b",
      "hada_w2_a",
      "hada_w2_b",
      "hada_t1",
      "hada_t2",
      "lokr_w1",
      "lokr_w1_a",
      "lokr_w1_b",
      "lokr_w2",
      "lokr_w2_a",
      "lokr_w2_b",
      "lokr_t2",
      "diff",
      "diff_b",
      "lora_A.weight",
      "lora_B.weight",
    ];
    const modules = [
      "lora_unet_conv_in",
      "unet.conv_out",
      "lora_te_text_model_encoder_layers_0_mlp_fc1",
      "lora_unet_nothing",
    ];
    let read = 0;
    for (let i = 0; i < fuzzCount(3000); i++) {
      const tensors = new Map<string, number[]>();
      const module = chance.pick(modules);
      for (let n = 1 + chance.below(6); n > 0; n--)
        tensors.set(
          `${chance.below(4) === 0 ? chance.pick(modules) : module}.${chance.pick(parts)}`,
          Array.from({ length: chance.below(5) }, () => chance.below(4)),
        );
      const bytes = writeSafetensors(
        [...tensors].map(([name, shape]) => ({
          name,
          shape,
          dtype: "F16" as const,
          data: new Uint8Array(shape.reduce((n, s) => n * s, 2)),
        })),
      );
      try {
        const file = safetensorsWeights(await openSafetensors(memorySource("fuzz", bytes)));
        for (const m of (await readLora(file)).modules.values()) await loraDelta(file, m, [2, 2]);
        read++;
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error;
      }
    }
    expect(read).toBeGreaterThan(0);
  });
});
