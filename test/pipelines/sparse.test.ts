// SparseCtrl against diffusers' AnimateDiffSparseControlNetPipeline (test/reference/pipelines_sparse.py): both kinds, chosen
// frames, long clips, windows, guidance; and AnimateDiff's own files.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../src/gpu/device.js";
import { memoryFolder } from "../../src/io/folder.js";
import { readControlNet } from "../../src/io/names/controlnet.js";
import { identify } from "../../src/io/names/identify.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource, openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { openWeights } from "../../src/io/weight-files.js";
import { parseControlNetConfig } from "../../src/models/controlnet/config.js";
import { ControlNetModel } from "../../src/models/controlnet/controlnet.js";
import { WeightStore } from "../../src/nn/weights.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { inferControlConfig } from "../../src/pipelines/control/infer.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { fixtureJson, listedWeights, type Listed } from "../io/names/files.js";
import { relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends GenerateOptions {
  readonly sparse: { readonly at: readonly number[]; readonly scale: number };
  readonly kind?: "scribble";
  readonly sparsectrl: string;
}
interface Stored {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

let device: Device;
let fixture: Fixture;
let cases: Readonly<Record<string, Case>>;
let pipeline: AnimateDiffPipeline;
const networks = new Map<string, ControlNetwork>();
const WEIGHTS = "diffusion_pytorch_model.safetensors";
const config = (folder: string) => readFileSync(fixturePath(`${folder}/config.json`), "utf8");
const folderOf = (name: string, tensors: ReadonlyMap<string, Stored>, of: string) => {
  const list = [...tensors].map(([n, { shape, data }]) => ({ name: n, shape, data, dtype: "F16" as const }));
  return memoryFolder(
    name,
    new Map<string, Uint8Array | string>([
      ["config.json", config(of)],
      [WEIGHTS, writeSafetensors(list, [])],
    ]),
  );
};

/** A folder's tensors, f16. */
async function tensorsOf(folder: string): Promise<Map<string, Stored>> {
  const path = `${folder}/${WEIGHTS}`;
  const file = await openSafetensors(memorySource(path, readFileSync(fixturePath(path))));
  const out = new Map<string, Stored>();
  for (const [name, { shape }] of file.tensors) out.set(name, { shape, data: await file.read(name, "f16") });
  return out;
}

beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-sparse.safetensors");
  cases = fixture.json("cases");
  const model = await openFolder(fixturePath("tiny-a"));
  ({ pipeline } = await loadPipeline(device, { model, precision: "f32", encoder: true }));
  const rgb = await tensorsOf("tiny-a-sparse");
  const scribble = new Map([...rgb].filter(([n]) => !n.startsWith("controlnet_cond_embedding.")));
  for (const [name, t] of await tensorsOf("tiny-a-sparse-scribble")) scribble.set(name, t);
  const precision = "f32";
  networks.set("tiny-a-sparse", await loadControl(device, folderOf("rgb", rgb, "tiny-a-sparse"), { precision }));
  const joined = folderOf("scribble", scribble, "tiny-a-sparse-scribble");
  networks.set("tiny-a-sparse-scribble", await loadControl(device, joined, { precision }));
});
afterAll(() => {
  for (const owned of [pipeline, ...networks.values()]) owned.dispose();
});

const run = async (name: string, network: ControlNetwork) => {
  const { sparse, kind: _, sparsectrl: __, ...options } = cases[name]!;
  const frames = await clipOf(fixture, `${name}.in.control`);
  return last(pipeline.generate({ ...options, controls: [{ ...sparse, network, frames }] }));
};
const NAMES = ["first", "two-guided", "window", "scribble", "scribble-guided", "scribble-long"].map(
  (n) => `sparse-${n}`,
);

describe("SparseCtrl", () => {
  it.each(NAMES)("makes diffusers' pictures in f32: %s", async (name) => {
    expect(Object.keys(cases).toSorted()).toEqual(NAMES.toSorted());
    const e = await run(name, networks.get(cases[name]!.sparsectrl)!);
    // diffusers' f32 result is about 1e-6 from its f64 one.
    expect(relativeL2(e.latents, await fixture.values(`${name}.latents`))).toBeLessThan(1e-4);
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(60);
  });

  it("refuses frames beyond the clip, twice the same, and more at once than it knows", async () => {
    const [rgb, frames] = [networks.get("tiny-a-sparse")!, await clipOf(fixture, "sparse-two-guided.in.control")];
    const small = { prompt: "", width: 16, height: 16, steps: 1, frames: 8 };
    const fails = (at: readonly number[], more: GenerateOptions = small) =>
      expect(last(pipeline.generate({ ...more, controls: [{ network: rgb, frames, at }] }))).rejects;
    await fails([0, 8]).toThrow(/frame 8 cannot be given: expected different whole numbers from 0 to 7/);
    await fails([3, 3]).toThrow(/frame 3 cannot be given/);
    await fails([0]).toThrow(/got 2 pictures for 1 frames of the clip; name a frame for each picture/);
    await fails([0, 1], { ...small, frames: 20 }).toThrow(/knows 16 frames, but 20 are evaluated together/);
  });
});

/** AnimateDiff's name of diffusers'. */
const original = (name: string): string =>
  name
    .replace(/\.(motion_modules\.\d+)\./, ".$1.temporal_transformer.")
    .replace(/(temporal_transformer\.transformer_blocks\.\d+)\.(.+)$/, (_, at: string, rest: string) => {
      const theirs = rest
        .replace("pos_embed", "attention_blocks.0.pos_encoder")
        .replace("attn1", "attention_blocks.0")
        .replace("norm1", "norms.0")
        .replace("norm3", "ff_norm");
      return `${at}.${theirs}`;
    });

describe("AnimateDiff's own SparseCtrl files", () => {
  it.each(["rgb", "scribble"] as const)("v3_sd15_sparsectrl_%s.ckpt has all that its network asks for", (kind) => {
    const lists = fixtureJson<Record<"shared" | "rgb" | "scribble", Listed[]>>("sparsectrl.json");
    const file = listedWeights([...lists.shared, ...lists[kind]], `v3_sd15_sparsectrl_${kind}.ckpt`);
    expect(identify(file).kind).toBe("sparse-control");
    const weights = readControlNet(file);
    const read = parseControlNetConfig(inferControlConfig(weights).json, "inferred");
    expect(read).toMatchObject({
      kind: "sparse",
      channels: kind === "rgb" ? 4 : 3,
      mask: true,
      embeddingWidths: kind === "rgb" ? [] : [16, 32, 96, 256],
      bgr: false,
      unet: { blockOutChannels: [320, 640, 1280, 1280], layersPerBlock: [2, 2, 2, 2], crossAttentionDim: 768 },
      motion: { maxFrames: 32, heads: [8, 8, 8, 8], midBlock: false },
    });
    using dry = Device.dry();
    const store = new WeightStore(dry, "f16");
    expect(new ControlNetModel(store.root, read, (n) => weights.has(n)).config).toBe(read);
    store.check(weights);
  });

  it("makes the same frames as its diffusers folder, to the bit", async () => {
    const renamed = new Map([...(await tensorsOf("tiny-a-sparse"))].map(([n, t]) => [`module.${original(n)}`, t]));
    expect(renamed.has("module.down_blocks.0.motion_modules.0.temporal_transformer.norm.weight")).toBe(true);
    const folder = folderOf("v3_sd15_sparsectrl_rgb", renamed, "tiny-a-sparse");
    using own = await loadControl(device, folder, { precision: "f32" });
    const [a, b] = [await run("sparse-first", own), await run("sparse-first", networks.get("tiny-a-sparse")!)];
    expect(a.latents).toEqual(b.latents);
  });

  it("is found below the key that AnimateDiff's trainer writes", async () => {
    const name = "torch/sparsectrl-wrapped.ckpt";
    const file = await openWeights(memorySource(name, readFileSync(fixturePath(name))));
    expect(identify(file).kind).toBe("sparse-control");
    expect([...readControlNet(file).entries()].map((e) => e.name)).toEqual([
      "controlnet_cond_embedding.weight",
      "down_blocks.0.motion_modules.0.transformer_blocks.0.pos_embed.pe",
      "down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q.weight",
    ]);
    await file.close();
  });
});
