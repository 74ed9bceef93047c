// IP-Adapter against diffusers and transformers (test/reference/pipelines_ip.py).

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource } from "../../src/io/safetensors.js";
import { clipPixels } from "../../src/models/clip/vision-model.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
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
