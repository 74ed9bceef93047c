// What loading does with models that are damaged, foreign or do not fit: one sentence that names the thing and the cure.

import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { openSafetensors, writeSafetensors, type TensorToWrite } from "../../src/io/safetensors.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { planPipeline } from "../../src/pipelines/plan.js";
import { testDevice } from "../support/device.js";
import { last } from "../support/clips.js";
import { fixturePath, storedAsF32 } from "../support/fixtures.js";

const UNET = "unet/diffusion_pytorch_model.safetensors";

type Stored = TensorToWrite & { readonly data: Uint8Array };

let device: Device;
let files: Map<string, Uint8Array>;
beforeAll(async () => {
  device = await testDevice();
  const folder = await openFolder(fixturePath("tiny-a"));
  files = new Map();
  for (const path of await folder.list()) {
    const source = await folder.open(path);
    files.set(path, (await source.read(0, source.size)).slice());
    await source.close?.();
  }
});

/** tiny-a with some files replaced, or (undefined) left out. */
function changed(changes: Readonly<Record<string, Uint8Array | string | undefined>>): Folder {
  const all = new Map<string, Uint8Array | string>(files);
  for (const [path, content] of Object.entries(changes)) {
    if (content === undefined) all.delete(path);
    else all.set(path, content);
  }
  return memoryFolder("model", all);
}

function json(path: string, change: object): string {
  return JSON.stringify({ ...(JSON.parse(new TextDecoder().decode(files.get(path))) as object), ...change });
}

/** The UNet's file with its tensors changed one by one; undefined drops one. */
async function unetWith(change: (t: Stored) => Stored | undefined): Promise<Uint8Array> {
  const file = await openSafetensors(memorySource("unet", files.get(UNET)!));
  const tensors: Stored[] = [];
  for (const { name, dtype, shape } of file.tensors.values()) {
    const t = change({ name, dtype, shape, data: await file.read(name, "stored") });
    if (t) tensors.push(t);
  }
  return writeSafetensors(tensors);
}

async function refusal(model: Folder): Promise<string> {
  const before = device.memory.used;
  const error = await loadPipeline(device, { model, precision: "f32" }).then(
    () => new Error("it loaded"),
    (e: unknown) => e as Error,
  );
  expect(device.memory.used).toBe(before);
  return error.message;
}

describe("loadPipeline", () => {
  it.each([
    ["f32", {}],
    ["f16", {}],
    ["f16", { weights: "int8" }],
  ] as const)("gives the same bits where the same values are stored as f32, run in %s %o", async (precision, how) => {
    if (precision === "f16" && !device.capabilities.f16) return;
    const latents = async (model: Folder) => {
      using pipeline = (await loadPipeline(device, { model, precision, ...how })).pipeline;
      const run = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 1 };
      return new Uint8Array((await last(pipeline.generate(run))).latents.buffer);
    };
    const half = await latents(await openFolder(fixturePath("tiny-a")));
    expect(Buffer.compare(await latents(await storedAsF32("tiny-a")), half)).toBe(0);
    const mixed = await storedAsF32("tiny-a", /position_embedding|norm1|to_k/);
    expect(Buffer.compare(await latents(mixed), half)).toBe(0);
  });

  it("lists everything missing, misshapen and unused at once", async () => {
    const unet = await unetWith((t) => {
      if (t.name === "conv_in.bias") return undefined;
      if (t.name === "conv_out.bias") return { ...t, name: "conv_out.bias_old" };
      if (t.name === "conv_norm_out.weight") return { ...t, shape: [4, t.shape[0]! / 4] };
      return t;
    });
    const message = await refusal(changed({ [UNET]: unet }));
    expect(message).toMatch(/does not fit this network \(4 of its names\)/);
    expect(message).toContain('missing: "conv_in.bias" [16]');
    expect(message).toContain('missing: "conv_out.bias" [4]');
    expect(message).toContain('misshapen: "conv_norm_out.weight" is [4, 4], expected [16]');
    expect(message).toContain('unused: "conv_out.bias_old" [4]');
  });

  it("names the stage that first makes values that are not finite", async () => {
    const unet = await unetWith((t) =>
      t.name === "conv_out.bias" ? { ...t, data: new Uint8Array(t.data.length).fill(0xff) } : t,
    );
    const { pipeline } = await loadPipeline(device, { model: changed({ [UNET]: unet }), precision: "f32" });
    const run = async () => {
      for await (const _ of pipeline.generate({ prompt: "a", frames: 1, width: 16, height: 16, steps: 2 }));
    };
    await expect(run()).rejects.toThrow(/^the UNet at step 1 \(timestep 999\) produced \d+ values that are not finite/);
    pipeline.dispose();
  });

  it.each([
    [
      "a folder without model_index.json",
      { "model_index.json": undefined },
      /no model_index\.json, so it is no diffusers model folder/,
    ],
    [
      "an SDXL pipeline",
      { "model_index.json": '{"_class_name": "StableDiffusionXLPipeline"}' },
      /made for StableDiffusionXLPipeline; AnimateLCM works with Stable Diffusion 1\.5/,
    ],
    ["a Flux pipeline", { "model_index.json": '{"_class_name": "FluxPipeline"}' }, /made for FluxPipeline/],
    [
      "a damaged config.json",
      { "unet/config.json": "{" },
      /model\/unet\/config\.json is not valid JSON: download it again/,
    ],
    [
      "a web page in place of weights",
      { [UNET]: "<!doctype html><html><body>Please log in</body></html>" },
      /web page/,
    ],
    [
      "a Git LFS pointer",
      { [UNET]: "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 3438167534\n" },
      /LFS/,
    ],
    ["weights that are not there", { [UNET]: undefined }, /has no weights/],
  ])("refuses %s", async (_, changes, message) => {
    expect(await refusal(changed(changes))).toMatch(message);
  });

  it("refuses truncated weights", async () => {
    expect(await refusal(changed({ [UNET]: files.get(UNET)!.slice(0, -100) }))).toMatch(
      /diffusion_pytorch_model\.safetensors/,
    );
  });

  it.each([
    ["unet/config.json", { addition_embed_type: "text_time" }, /SDXL UNet/],
    [
      "unet/config.json",
      { cross_attention_dim: 1024 },
      /is a Stable Diffusion 2 model; AnimateLCM works with Stable Diffusion 1.5/,
    ],
    [
      "unet/config.json",
      { down_block_types: ["AttnDownBlock2D", "DownBlock2D"] },
      /block type "AttnDownBlock2D" is not supported/,
    ],
    ["unet/config.json", { act_fn: "mish" }, /act_fn is "mish", supported is "silu" or "swish"/],
    [
      "motion_adapter/config.json",
      { block_out_channels: [320, 640] },
      /motion modules for widths \[320, 640\] do not fit this UNet's \[16, 40\]/,
    ],
    ["motion_adapter/config.json", { motion_layers_per_block: 2 }, /2, 2 layers per block do not fit this UNet's 1, 1/],
    ["text_encoder/config.json", { hidden_act: "relu" }, /hidden_act is "relu"/],
    ["vae/config.json", { block_out_channels: "big" }, /block_out_channels should be a list/],
  ] as const)("refuses %s with %j", async (path, change, message) => {
    expect(await refusal(changed({ [path]: json(path, change) }))).toMatch(message);
  });

  it("says so where there is no motion module", async () => {
    const still = Object.fromEntries(
      [...files.keys()].filter((p) => p.startsWith("motion_adapter/")).map((p) => [p, undefined]),
    );
    const { pipeline, info } = await loadPipeline(device, { model: changed(still), precision: "f32" });
    expect(info.warnings).toEqual([expect.stringMatching(/no motion module: the frames will be unrelated pictures/)]);
    expect(info.parameters.motion).toBe(0);
    pipeline.dispose();
  });

  it("refuses a LoRA of another model, with the count", async () => {
    const tensors: Stored[] = ["down", "up"].map((part) => ({
      name: `lora_unet_some_other_layer.lora_${part}.weight`,
      dtype: "F32",
      shape: [1, 1],
      data: new Uint8Array(4),
    }));
    const source = memorySource("other.safetensors", writeSafetensors(tensors));
    const before = device.memory.used;
    await expect(
      loadPipeline(device, { model: changed({}), loras: [{ source, weight: 1 }], precision: "f32" }),
    ).rejects.toThrow(/other\.safetensors: none of its 1 LoRA modules match this model/);
    expect(device.memory.used).toBe(before);
  });
});

describe("planPipeline", () => {
  const run = { prompt: "a", frames: 4, width: 32, height: 32 };

  it("tells beforehand what loading and running then take", async () => {
    const plan = await planPipeline(device.capabilities, { model: changed({}), precision: "f32" }, run);
    const { pipeline, info } = await loadPipeline(device, { model: changed({}), precision: "f32" });
    // Buffers of the pool that are a little larger than a weight may be reused for it.
    expect(Math.abs(info.weightBytes / plan.weightBytes - 1)).toBeLessThan(0.05);
    expect(info.parameters).toEqual(plan.parameters);
    device.resetCounts();
    for await (const _ of pipeline.generate(run));
    expect(device.counts.dispatches).toBe(plan.dispatches);
    expect(device.counts.flops).toBe(plan.flops);
    pipeline.dispose();
  });

  it("knows Stable Diffusion 1.5 with AnimateLCM by its published sizes", async () => {
    const plan = await planPipeline(
      {},
      { model: "sd15", precision: "f16" },
      { prompt: "a", frames: 16, width: 512, height: 512 },
    );
    expect(plan.parameters).toMatchObject({ unet: 859_520_964, motion: 453_209_280, text: 123_060_480 });
    expect(plan.pipelines).toBeLessThanOrEqual(40);
    expect(plan.flops / 1e12).toBeCloseTo(4 * 17.7 + 40.3, 0);
  });
});
