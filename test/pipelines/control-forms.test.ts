// A ControlNet's forms: a diffusers folder, one file in diffusers' names, one in LDM's. The same network whatever it comes in,
// and refused by name where it is made for another base. Random weights of Stable Diffusion 1.5's choices, in small.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { memoryFolder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { parseControlNetConfig } from "../../src/models/controlnet/config.js";
import { ControlNetModel } from "../../src/models/controlnet/controlnet.js";
import { prepareText } from "../../src/nn/attention.js";
import { WeightStore } from "../../src/nn/weights.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";
import { weightsFile, type Weight } from "../support/small-model.js";

const CONFIG = {
  _class_name: "ControlNetModel",
  block_out_channels: [32, 64],
  layers_per_block: 1,
  down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D"],
  cross_attention_dim: 24,
  attention_head_dim: 8,
  conditioning_embedding_out_channels: [8, 12, 16],
};

/** Random weights for a configuration, in diffusers' names. */
function invent(json: object): Weight[] {
  using dry = Device.dry();
  const store = new WeightStore(dry, "f32");
  new ControlNetModel(store.root, parseControlNetConfig(json as Record<string, unknown>, "invented"));
  const generator = new TorchGenerator(3);
  return [...store.wanted()].map(({ name, shape }) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const scale = shape.length > 1 ? Math.sqrt(shape[0]! / n) : 0.1;
    return { name, shape, values: generator.randn(n).map((v) => (/norm.*weight$/.test(name) ? 1 : 0) + v * scale) };
  });
}

/** Where CONFIG's parts stand in LDM's lists, and what their layers are called there. */
const LDM: readonly (readonly [RegExp, string])[] = [
  [/^conv_in\./, "input_blocks.0.0."],
  [/^down_blocks\.0\.resnets\.0\./, "input_blocks.1.0."],
  [/^down_blocks\.0\.attentions\.0\./, "input_blocks.1.1."],
  [/^down_blocks\.0\.downsamplers\.0\.conv\./, "input_blocks.2.0.op."],
  [/^down_blocks\.1\.resnets\.0\./, "input_blocks.3.0."],
  [/^mid_block\.resnets\.0\./, "middle_block.0."],
  [/^mid_block\.attentions\.0\./, "middle_block.1."],
  [/^mid_block\.resnets\.1\./, "middle_block.2."],
  [/^time_embedding\.linear_1\./, "time_embed.0."],
  [/^time_embedding\.linear_2\./, "time_embed.2."],
  [/^controlnet_cond_embedding\.conv_in\./, "input_hint_block.0."],
  ...[0, 1, 2, 3].map(
    (i) => [new RegExp(`^controlnet_cond_embedding\\.blocks\\.${i}\\.`), `input_hint_block.${2 * i + 2}.`] as const,
  ),
  [/^controlnet_cond_embedding\.conv_out\./, "input_hint_block.10."],
  [/^controlnet_down_blocks\.(\d)\./, "zero_convs.$1.0."],
  [/^controlnet_mid_block\./, "middle_block_out.0."],
];
const RESNET: Readonly<Record<string, string>> = {
  norm1: "in_layers.0",
  conv1: "in_layers.2",
  time_emb_proj: "emb_layers.1",
  norm2: "out_layers.0",
  conv2: "out_layers.3",
  conv_shortcut: "skip_connection",
};

function ldmName(name: string): string {
  const [from, to] = LDM.find(([pattern]) => pattern.test(name))!;
  const moved = name.replace(from, to);
  return /\.resnets\./.test(name)
    ? moved.replace(/(\w+)(\.\w+)$/, (_, layer: string, rest: string) => RESNET[layer]! + rest)
    : moved;
}

const weights = invent(CONFIG);
const folder = (json: object, list: readonly Weight[]) =>
  memoryFolder(
    "controlnet",
    new Map<string, Uint8Array | string>([
      ["config.json", JSON.stringify(json)],
      ["diffusion_pytorch_model.safetensors", weightsFile(list)],
    ]),
  );

let device: Device;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  ({ pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" }));
});
afterAll(() => pipeline.dispose());

/** What a network makes of one picture and one latent. */
async function mapsOf({ model }: ControlNetwork): Promise<Float32Array[]> {
  if (!(model instanceof ControlNetModel)) throw new Error("expected a ControlNet");
  const generator = new TorchGenerator(5);
  const random = (...shape: number[]) => Tensor.from(device, generator.randn(shape.reduce((a, b) => a * b, 1)), shape);
  const maps = device.scope(() => {
    const text = prepareText(model.crossAttentions, random(1, 5, 24));
    const time = model.timeEmbeddings(device, [499], "f32");
    const condition = model.embed(random(2, 16, 24, 3));
    const { down, mid } = model.forward(random(2, 4, 6, 4), condition, {
      time,
      text,
      clip: { frames: 2, norm: "joint" },
    });
    return [...down, mid];
  });
  const values: Float32Array[] = [];
  for (const map of maps) {
    values.push(await map.read());
    map.dispose();
  }
  return values;
}

describe("a ControlNet", () => {
  it("is the same from a folder, from a file in diffusers' names and from one in LDM's", async () => {
    using whole = await loadControl(device, folder(CONFIG, weights), { precision: "f32" });
    const expected = await mapsOf(whole);
    expect(expected.every((map) => map.some((v) => Math.abs(v) > 0.1))).toBe(true);
    const forms = {
      "diffusers.safetensors": weights,
      "ldm.safetensors": weights.map((w) => ({ ...w, name: ldmName(w.name) })),
      "control_v11p.safetensors": weights.map((w) => ({ ...w, name: `control_model.${ldmName(w.name)}` })),
    };
    for (const [name, list] of Object.entries(forms)) {
      using network = await loadControl(device, memorySource(name, weightsFile(list)), { precision: "f32" });
      expect(network.kind).toBe("controlnet");
      expect(await mapsOf(network), name).toEqual(expected);
    }
  });

  it.each<[string, object, RegExp]>([
    [
      "texts of another width",
      { cross_attention_dim: 48 },
      /texts of width 48, .* but this model has .*texts of width 32/,
    ],
    [
      "other widths",
      { block_out_channels: [32, 40], norm_num_groups: 4 },
      /widths 32, 40, .* but this model has widths 16, 40/,
    ],
    [
      "another number of blocks",
      {
        block_out_channels: [16, 40, 40],
        norm_num_groups: 4,
        down_block_types: ["CrossAttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
      },
      /widths 16, 40, 40, .* but this model has widths 16, 40,/,
    ],
    [
      "another number of layers",
      { block_out_channels: [16, 40], norm_num_groups: 4, layers_per_block: 2, cross_attention_dim: 32 },
      /2, 2 layers a block, but .* 1, 1 layers a block/,
    ],
  ])("made for another base is refused: %s", async (_, change, message) => {
    const config = { ...CONFIG, ...change };
    using network = await loadControl(device, folder(config, invent(config)), { precision: "f32" });
    const frames = { width: 8, height: 8, count: 1, rgba: new Uint8Array(256) };
    const run = last(
      pipeline.generate({ prompt: "a", frames: 2, width: 32, height: 24, controls: [{ network, frames }] }),
    );
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.toThrow(/controlnet is made for a base model of .*; use a control network for this base/);
  });

  it("says what else a file is, and what of a ControlNet is missing", async () => {
    const lacking = weights.filter((w) => w.name !== "mid_block.resnets.0.conv1.weight");
    await expect(loadControl(device, folder(CONFIG, lacking), { precision: "f32" })).rejects.toThrow(
      /mid_block.resnets.0.conv1.weight/,
    );
    const odd = [
      ...weights.map((w) => ({ ...w, name: ldmName(w.name) })),
      { name: "label_emb.0.0.weight", shape: [1], values: new Float32Array(1) },
    ];
    await expect(loadControl(device, memorySource("xl.safetensors", weightsFile(odd)))).rejects.toThrow(
      "xl.safetensors: a ControlNet for Stable Diffusion 1.5 has no tensor label_emb.0.0.weight; it is one for another base model",
    );
    const pooled = { ...CONFIG, global_pool_conditions: true };
    await expect(loadControl(device, folder(pooled, weights))).rejects.toThrow(
      /global_pool_conditions\), which is not supported/,
    );
  });
});
