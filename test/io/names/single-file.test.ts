// Names of Stable Diffusion 1.5 at its published size: LDM's single file and diffusers' networks map one to one, both ways,
// as diffusers' own conversion scripts map them.

import { describe, expect, it } from "vitest";
import { CheckpointError } from "../../../src/io/errors.js";
import { joinSingleFile, splitSingleFile } from "../../../src/io/names/single-file.js";
import { vaeTable } from "../../../src/io/names/vae.js";
import { renameWeights } from "../../../src/io/names/renamed.js";
import type { WeightFile } from "../../../src/io/weight-files.js";
import { fixtureJson, listedWeights, valueWeights, type Listed } from "./files.js";

type Row = readonly [diffusers: string, shape: readonly number[], ldm: string, ldmShape: readonly number[]];
const sd15 = fixtureJson<{
  readonly unet: readonly Row[];
  readonly vae: readonly Row[];
  readonly text: readonly Row[];
}>("sd15.json");
const all = [...sd15.unet, ...sd15.vae, ...sd15.text];
const listed = (file: WeightFile): Record<string, readonly number[]> =>
  Object.fromEntries([...file.entries()].map((e) => [e.name, e.shape]));
const diffusers = (rows: readonly Row[]): Listed[] => rows.map(([n, s]) => [n, s]);

describe("a Stable Diffusion 1.5 checkpoint in one file", () => {
  it("splits into the networks' 686, 248 and 196 tensors by diffusers' names and shapes", () => {
    const split = splitSingleFile(listedWeights(all.map(([, , n, s]) => [n, s])));
    for (const part of ["unet", "vae", "text"] as const) {
      expect(listed(split[part]!)).toEqual(Object.fromEntries(diffusers(sd15[part])));
      for (const { name } of split[part]!.entries()) expect(split[part]!.has(name)).toBe(true);
    }
    expect([sd15.unet.length, sd15.vae.length, sd15.text.length]).toEqual([686, 248, 196]);
    expect(split.notes).toEqual([]);
  });

  it("is joined again from diffusers' networks with the same names and shapes", () => {
    const joined = joinSingleFile({
      unet: listedWeights(diffusers(sd15.unet)),
      vae: listedWeights(diffusers(sd15.vae)),
      text: listedWeights(diffusers(sd15.text)),
    });
    expect(Object.fromEntries(joined.map((e) => [e.name, e.shape]))).toEqual(
      Object.fromEntries(all.map(([, , n, s]) => [n, s])),
    );
    expect(joined.length).toBe(all.length);
    const from = new Map(all.map(([d, , ldm]) => [ldm, d]));
    expect(joined.filter((e) => from.get(e.name) !== e.from)).toEqual([]);
  });

  it("leaves out running averages, schedules and position ids, and says what is unknown", () => {
    const extra: Listed[] = [
      ["model_ema.diffusion_modelinput_blocks00weight", [1]],
      ["alphas_cumprod", [1000]],
      ["cond_stage_model.transformer.text_model.embeddings.position_ids", [1, 77]],
      ["first_stage_model.loss.logvar", []],
      ["something.else", [1]],
    ];
    const split = splitSingleFile(listedWeights([...all.map(([, , n, s]): Listed => [n, s]), ...extra]));
    expect(split.notes).toEqual([
      expect.stringMatching(/^1 tensors of model_ema/),
      expect.stringMatching(/^1 other .*something\.else/),
    ]);
    expect([...split.text!.entries()].length).toBe(196);
  });

  it("may lack VAE and text encoder, and may leave text_model out", () => {
    const only = splitSingleFile(listedWeights(sd15.unet.map(([, , n, s]) => [n, s])));
    expect([only.vae, only.text]).toEqual([undefined, undefined]);
    const short = sd15.text.map(([, , n, s]): Listed => [n.replace(".text_model.", "."), s]);
    const split = splitSingleFile(listedWeights([...sd15.unet.map(([, , n, s]): Listed => [n, s]), ...short]));
    expect(listed(split.text!)).toEqual(Object.fromEntries(diffusers(sd15.text)));
  });

  it("refuses a UNet of another family by the first tensor that does not fit", () => {
    const odd: Listed[] = [
      ...sd15.unet.map(([, , n, s]): Listed => [n, s]),
      ["model.diffusion_model.label_emb.0.0.weight", [1280, 2816]],
    ];
    expect(() => splitSingleFile(listedWeights(odd))).toThrow(
      /label_emb.0.0.weight, which Stable Diffusion 1.5 does not have/,
    );
    const motion: Listed[] = [...diffusers(sd15.unet), ["down_blocks.0.motion_modules.0.norm.weight", [320]]];
    const parts = { vae: listedWeights([]), text: listedWeights([]) };
    expect(() => joinSingleFile({ unet: listedWeights(motion), ...parts })).toThrow(CheckpointError);
  });

  it("keeps other numbers of layers apart: three a level", () => {
    const name = (ldm: string, to: string) => [ldm, to] as const;
    const pairs = [
      name("input_blocks.4.0.op.weight", "down_blocks.0.downsamplers.0.conv.weight"),
      name("input_blocks.5.0.in_layers.2.weight", "down_blocks.1.resnets.0.conv1.weight"),
      name("output_blocks.3.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight"),
      name("output_blocks.4.1.norm.weight", "up_blocks.1.attentions.0.norm.weight"),
    ];
    const split = splitSingleFile(listedWeights(pairs.map(([ldm]) => [`model.diffusion_model.${ldm}`, [1]])));
    expect([...split.unet.entries()].map((e) => e.name)).toEqual(pairs.map(([, to]) => to));
  });
});

describe("vaeTable", () => {
  const expected = Object.fromEntries(diffusers(sd15.vae));
  const old = (n: string) =>
    n
      .replace(".to_q.", ".query.")
      .replace(".to_k.", ".key.")
      .replace(".to_v.", ".value.")
      .replace(".to_out.0.", ".proj_attn.");
  it.each<[string, Listed[]]>([
    ["LDM's names", sd15.vae.map(([, , n, s]) => [n.replace("first_stage_model.", ""), s])],
    ["diffusers' names", diffusers(sd15.vae)],
    ["diffusers' old names", diffusers(sd15.vae).map(([n, s]): Listed => [old(n), s])],
  ])("gives today's names and shapes from %s", (_, list) => {
    const file = listedWeights(list);
    expect(listed(renameWeights(file, vaeTable(file)))).toEqual(expected);
  });

  it("reads the same bytes under the new shape", async () => {
    const file = await valueWeights({
      "decoder.mid.attn_1.q.weight": [
        [2, 2, 1, 1],
        [1, 2, 3, 4],
      ],
    });
    const renamed = renameWeights(file, vaeTable(file));
    const name = "decoder.mid_block.attentions.0.to_q.weight";
    expect(renamed.entry(name).shape).toEqual([2, 2]);
    expect([...new Float32Array((await renamed.read(name, "f32")).slice().buffer)]).toEqual([1, 2, 3, 4]);
    expect(() => renamed.entry("decoder.mid.attn_1.q.weight")).toThrow(/no tensor/);
  });
});
