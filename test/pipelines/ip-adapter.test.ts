// IP-Adapter against diffusers and transformers (test/reference/pipelines_ip.py).

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../src/gpu/device.js";
import type { Folder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource } from "../../src/io/safetensors.js";
import { CLIPVisionModel, clipPixels, parseCLIPVisionConfig } from "../../src/models/clip/vision-model.js";
import { WeightStore } from "../../src/nn/weights.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { buildModels, SD15_ANIMATELCM } from "../../src/pipelines/build.js";
import { loadIPAdapter, type IPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { expectClose, relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
let adapter: IPAdapter;
const file = (name: string) => memorySource(name, readFileSync(fixturePath(name)));
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-ip.safetensors");
  ({ pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" }));
  adapter = await loadIPAdapter(device, pipeline.parts.unet, {
    adapter: file("tiny-a-ip-adapter.safetensors"),
    encoder: await openFolder(fixturePath("tiny-a-ip-encoder")),
    precision: "f32",
  });
});
afterAll(() => {
  for (const owned of [pipeline, adapter]) owned.dispose();
});
const names = ["ip-plain", "ip-guided", "ip-large"];

describe("CLIPVisionModel", () => {
  it.each(names)("prepares and embeds pictures as transformers: %s", async (name) => {
    const picture = await clipOf(fixture, `${name}.in.image`);
    const pixels = clipPixels(picture, 32);
    expectClose(pixels, (await fixture.channelsLast(`${name}.in.pixels`)).values, 1e-6);
    using embedding = adapter.encoder.embed(device, pixels, "f32");
    expectClose(await embedding.read(), await fixture.values(`${name}.embedding`), 1e-5);
  });
});

/** A safetensors file of these shapes in f16, without its values. */
function headerOnly(name: string, tensors: Iterable<{ readonly name: string; readonly shape: readonly number[] }>) {
  let end = 0;
  const entries = [...tensors].map(({ name: tensor, shape }) => {
    const start = end;
    end += 2 * shape.reduce((n, s) => n * s, 1);
    return [tensor, { dtype: "F16", shape, data_offsets: [start, end] }] as const;
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setUint32(0, json.length, true);
  head.set(json, 8);
  const read = (offset: number, length: number) => Promise.resolve(head.slice(offset, offset + length));
  return { name, size: head.length + end, read };
}

it("leaves ViT-H on the host: beside the UNet it takes megabytes, not gigabytes", async () => {
  using dry = Device.dry();
  const { unet } = buildModels(dry, SD15_ANIMATELCM, { storage: { weights: "f16" } });
  const sizes = { hidden_size: 1280, intermediate_size: 5120, num_hidden_layers: 32, num_attention_heads: 16 };
  const config = { ...sizes, projection_dim: 1024, patch_size: 14, hidden_act: "gelu" };
  const listed = new WeightStore(dry, "f16");
  expect(new CLIPVisionModel(listed.root, parseCLIPVisionConfig(config, "ViT-H")).config.imageSize).toBe(224);
  expect(listed.parameters).toBe(632_076_800); // CLIPVisionModelWithProjection of h94/IP-Adapter's models/image_encoder
  const encoder: Folder = {
    name: "ViT-H",
    list: () => Promise.resolve(["config.json", "model.safetensors"]),
    readText: () => Promise.resolve(JSON.stringify(config)),
    open: () => Promise.resolve(headerOnly("ViT-H/model.safetensors", listed.wanted())),
  };
  const layers = unet.adapterLayers.flatMap(({ inner }, i) =>
    ["to_k_ip", "to_v_ip"].map((w) => ({ name: `ip_adapter.${2 * i + 1}.${w}.weight`, shape: [inner, 768] })),
  );
  const projection = [
    { name: "image_proj.proj.weight", shape: [3072, 1024] },
    { name: "image_proj.proj.bias", shape: [3072] },
    { name: "image_proj.norm.weight", shape: [768] },
    { name: "image_proj.norm.bias", shape: [768] },
  ];
  const file = headerOnly("ip-adapter_sd15.safetensors", [...projection, ...layers]);
  using large = await loadIPAdapter(dry, unet, { adapter: file, encoder, precision: "f16" });
  dry.scope(() => large.keyValues(large.tokens(new Float32Array(224 * 224 * 3))));
  expect(dry.memory.peakReserved).toBeLessThan(2 ** 27);
});

describe("IP-Adapter", () => {
  it.each(names)("makes diffusers' pictures in f32: %s", async (name) => {
    const { ipScale, ...c } = fixture.json<Record<string, GenerateOptions & { ipScale: number }>>("cases")[name]!;
    const images = [await clipOf(fixture, `${name}.in.image`)];
    const e = await last(pipeline.generate({ ...c, imagePrompts: [{ adapter, images, scale: ipScale }] }));
    expect(relativeL2(e.latents, await fixture.values(`${name}.latents`))).toBeLessThan(1e-4);
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(60);
  });

  it("names both sides where files do not fit", async () => {
    const encoder = await openFolder(fixturePath("tiny-a-ip-encoder"));
    const load = (name: string) =>
      loadIPAdapter(device, pipeline.parts.unet, { adapter: file(name), encoder, precision: "f32" });
    await expect(load("tiny-a-lora.safetensors")).rejects.toThrow(/tiny-a-lora.safetensors is no IP-Adapter: it is/);
    const { pipeline: other } = await loadPipeline(device, {
      model: await openFolder(fixturePath("tiny-b")),
      precision: "f32",
    });
    using _ = other;
    const wrong = loadIPAdapter(device, other.parts.unet, {
      adapter: file("tiny-a-ip-adapter.safetensors"),
      encoder,
      precision: "f32",
    });
    await expect(wrong).rejects.toThrow(/makes tokens of width 32 .* this model's \d+ of width 24/);
  });
});
