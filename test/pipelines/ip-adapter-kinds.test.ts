// IP-Adapter Plus and Full Face, several pictures and adapters, under windows, FreeNoise and prompt travel, against diffusers
// and transformers (test/reference/pipelines_ip_kinds.py); and what is refused.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import type { Clip } from "../../src/io/frames.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource, openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { clipPixels } from "../../src/models/clip/vision-model.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadIPAdapter, type IPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { expectClose, relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends GenerateOptions {
  readonly files: Readonly<Record<string, string>>;
  readonly ip: readonly { kind: string; images?: number; scale?: number; start?: number; end?: number }[];
}

let device: Device;
let fixture: Fixture;
let cases: Readonly<Record<string, Case>>;
let encoder: Folder;
const pipelines = new Map<string, AnimateDiffPipeline>();
const adapters = new Map<string, IPAdapter>();
const read = (name: string) => readFileSync(fixturePath(name));
const load = (name: string, precision: "f32" | "f16") =>
  loadIPAdapter(device, pipelines.get(precision)!.parts.unet, {
    adapter: memorySource(name, read(name)),
    encoder,
    precision,
  });
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-ip-kinds.safetensors");
  cases = fixture.json("cases");
  encoder = await openFolder(fixturePath("tiny-a-ip-encoder"));
  const model = await openFolder(fixturePath("tiny-a"));
  for (const precision of ["f32", "f16"] as const) {
    if (precision === "f16" && !device.capabilities.f16) continue;
    pipelines.set(precision, (await loadPipeline(device, { model, precision })).pipeline);
    for (const [kind, file] of Object.entries(cases["ip-plus"]!.files))
      adapters.set(`${kind} ${precision}`, await load(file, precision));
  }
});
afterAll(() => {
  for (const owned of [...pipelines.values(), ...adapters.values()]) owned.dispose();
});

/** The options of a case, with its pictures. */
async function optionsOf(name: string, precision: "f32" | "f16"): Promise<GenerateOptions> {
  const { ip, files: _, ...options } = cases[name]!;
  const imagePrompts = await Promise.all(
    ip.map(async ({ kind, images: count = 1, ...rest }, i) => {
      const images: Promise<Clip>[] = [];
      for (let k = 0; k < count; k++) images.push(clipOf(fixture, `${name}.in.${i}.${k}`));
      return { ...rest, adapter: adapters.get(`${kind} ${precision}`)!, images: await Promise.all(images) };
    }),
  );
  return { ...options, imagePrompts };
}

const NAMES = ["plus", "plus-guided", "full-face", "three", "part", "travel", "window"].map((n) => `ip-${n}`);

describe("IP-Adapter Plus and Full Face", () => {
  it("see the states before the encoder's last layer, as transformers gives them", async () => {
    const adapter = adapters.get("plus f32")!;
    const pixels = clipPixels(await clipOf(fixture, "ip-plus.in.0.0"), 32);
    for (const [name, input] of [
      ["states", pixels],
      ["states.none", new Float32Array(pixels.length)],
    ] as const) {
      using states = adapter.encoder.penultimate(device, input, "f32");
      expect(states.shape).toEqual([1, 17, 32]);
      expectClose(await states.read(), await fixture.values(name), 1e-5);
    }
  });

  it.each(NAMES)("make diffusers' pictures in f32: %s", async (name) => {
    expect(Object.keys(cases).toSorted()).toEqual(NAMES.toSorted());
    const e = await last(pipelines.get("f32")!.generate(await optionsOf(name, "f32")));
    expect(relativeL2(e.latents, await fixture.values(`${name}.latents`))).toBeLessThan(1e-4);
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(60);
  });

  it.each(["ip-plus-guided", "ip-full-face"])("come close in f16: %s", async (name) => {
    const pipeline = pipelines.get("f16");
    if (!pipeline) return;
    const e = await last(pipeline.generate(await optionsOf(name, "f16")));
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(40);
  });
});

/** A copy of a safetensors fixture without its values, tensors renamed or reshaped. */
async function pretended(
  name: string,
  change: (name: string, shape: readonly number[]) => readonly [string, readonly number[]],
): Promise<Uint8Array<ArrayBuffer>> {
  const { tensors } = await openSafetensors(memorySource(name, read(name)));
  return writeSafetensors(
    [...tensors.values()].map((t) => {
      const [to, shape] = change(t.name, t.shape);
      return { name: to, shape, dtype: "F16" as const, data: new Uint8Array(2 * shape.reduce((n, s) => n * s, 1)) };
    }),
    [],
  );
}

describe("refuses", () => {
  const fails = (name: string, bytes: Uint8Array, folder: Folder = encoder) =>
    expect(
      loadIPAdapter(device, pipelines.get("f32")!.parts.unet, {
        adapter: memorySource(name, bytes),
        encoder: folder,
        precision: "f32",
      }),
    ).rejects;
  const PLUS = "tiny-a-ip-plus.safetensors";

  it("an encoder that the adapter was not made for, naming both", async () => {
    const vitH = await pretended(PLUS, (n, s) => (n === "image_proj.proj_in.weight" ? [n, [16, 1280]] : [n, s]));
    await fails("ip-adapter-plus_sd15.safetensors", vitH).toThrow(
      /^ip-adapter-plus_sd15\.safetensors reads states of width 1280 \(CLIP ViT-H\/14's\), but the image encoder .*tiny-a-ip-encoder makes 32; use the encoder/,
    );
    const config = { hidden_size: 1664, projection_dim: 1280, model_type: "clip_vision_model" };
    const bigG: Folder = {
      ...encoder,
      name: "vit-g",
      readText: (path) => (path === "config.json" ? Promise.resolve(JSON.stringify(config)) : encoder.readText(path)),
    };
    await fails("ip-adapter-plus_sd15.safetensors", vitH, bigG).toThrow(
      "reads states of width 1280 (CLIP ViT-H/14's), but the image encoder vit-g makes 1664 (CLIP ViT-bigG/14's)",
    );
    const base = await pretended("tiny-a-ip-adapter.safetensors", (n, s) =>
      n === "image_proj.proj.weight" ? [n, [s[0]!, 1024]] : [n, s],
    );
    await fails("ip-adapter_sd15.safetensors", base, bigG).toThrow(
      "reads embeddings of width 1024 (CLIP ViT-H/14's), but the image encoder vit-g makes 1280 (CLIP ViT-bigG/14's)",
    );
  });

  it("a folder that holds no image encoder", async () => {
    const text = await openFolder(fixturePath("tiny-a/text_encoder"));
    await fails(PLUS, read(PLUS), text).toThrow(
      /config\.json describes a "clip_text_model"; expected CLIP's image encoder/,
    );
    await fails(PLUS, read(PLUS), memoryFolder("empty", new Map())).toThrow(/empty/);
  });

  it.each([
    ["FaceID", (n: string) => n.replace("image_proj.latents", "image_proj.proj.0.weight").replace(/norm_out/, "norm")],
    ["FaceID Plus", (n: string) => n.replace("image_proj.", "image_proj.perceiver_resampler.")],
  ])("%s, which reads faces otherwise", async (form, rename) => {
    const bytes = await pretended(PLUS, (n, s) => [rename(n), s]);
    await fails("ip-adapter-faceid_sd15.bin", bytes).toThrow(
      `ip-adapter-faceid_sd15.bin is an IP-Adapter (${form}): it reads a face recogniser's vectors (InsightFace), which are not computed here; for faces use ip-adapter-plus-face_sd15`,
    );
  });

  it("an adapter of another model, precision, or without pictures", async () => {
    const pipeline = pipelines.get("f32")!;
    const options = await optionsOf("ip-plus", "f32");
    const { pipeline: other } = await loadPipeline(device, {
      model: await openFolder(fixturePath("tiny-a")),
      precision: "f32",
    });
    using _ = other;
    await expect(last(other.generate(options))).rejects.toThrow(/was loaded for another model's UNet/);
    const [prompt] = options.imagePrompts!;
    const with_ = (change: object) =>
      last(pipeline.generate({ ...options, imagePrompts: [{ ...prompt!, ...change }] }));
    await expect(with_({ images: [] })).rejects.toThrow(/got no picture; give one \(--ip-image\)/);
    await expect(with_({ scale: Number.NaN })).rejects.toThrow(/scale is NaN, expected a number/);
    await expect(with_({ start: 0.3, end: 0.4 })).rejects.toThrow(/in which no whole step of 4 lies/);
    await expect(with_({ adapter: { ...prompt!.adapter, dtype: "f16" } })).rejects.toThrow(
      /was loaded in f16, but the model in f32; load both with the same precision/,
    );
  });
});
