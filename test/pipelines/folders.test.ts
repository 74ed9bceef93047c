// Folders as diffusers writes them: with motion modules inside the UNet; and those of other models, refused by name.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource } from "../../src/io/byte-source.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { openModel } from "../../src/pipelines/model-files.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";
import { fixtureJson } from "../io/names/files.js";

const forms = fixtureJson<{
  readonly pipeline: {
    readonly files: Readonly<Record<string, object>>;
    readonly weights: Readonly<Record<string, readonly string[]>>;
  };
}>("forms.json");

const WEIGHTS = "diffusion_pytorch_model.safetensors";

/** tiny-a as AnimateDiffPipeline.save_pretrained leaves it, without the separate adapter. */
async function saved(): Promise<Folder> {
  const plain = await openFolder(fixturePath("tiny-a"));
  const files = new Map<string, Uint8Array | string>();
  for (const path of await plain.list())
    if (!/^(unet|motion_adapter)\//.test(path))
      files.set(path, new Uint8Array(readFileSync(fixturePath(`tiny-a/${path}`))));
  for (const path of ["model_index.json", "unet/config.json"])
    files.set(path, JSON.stringify(forms.pipeline.files[path]));
  const tensors: Parameters<typeof writeSafetensors>[0] extends Iterable<infer T> ? T[] : never = [];
  for (const part of ["unet", "motion_adapter"]) {
    const file = await openSafetensors(memorySource(part, readFileSync(fixturePath(`tiny-a/${part}/${WEIGHTS}`))));
    for (const { name, dtype, shape } of file.tensors.values())
      tensors.push({ name, dtype, shape, data: await file.read(name) });
  }
  expect(tensors.map((t) => t.name).toSorted()).toEqual(forms.pipeline.weights[`unet/${WEIGHTS}`]!.toSorted());
  files.set(`unet/${WEIGHTS}`, writeSafetensors(tensors));
  return memoryFolder("saved", files);
}

it("a UNetMotionModel's folder gives the same latents as the parts it was made of", async () => {
  const device = await testDevice();
  const latents = async (model: Folder): Promise<Float32Array> => {
    const { pipeline, info } = await loadPipeline(device, { model, precision: "f32" });
    using _ = pipeline;
    expect(info.motion).toBeDefined();
    for await (const e of pipeline.generate({ prompt: "a red circle", frames: 3, width: 32, height: 24, steps: 1 }))
      if (e.type === "frames") return e.latents;
    throw new Error("no frames");
  };
  expect(await latents(await saved())).toEqual(await latents(await openFolder(fixturePath("tiny-a"))));
});

describe("folders of other models", () => {
  it.each([
    [{ in_channels: 9 }, "an inpainting model (its UNet takes 9 channels)"],
    [{ in_channels: 8 }, "an InstructPix2Pix model"],
    [{ cross_attention_dim: 1024 }, "a Stable Diffusion 2 model"],
    [{ cross_attention_dim: 2048 }, "an SDXL model"],
  ])("%j is refused as %s", async (change, what) => {
    const plain = await openFolder(fixturePath("tiny-a"));
    const model: Folder = {
      ...plain,
      readText: async (path) =>
        path === "unet/config.json"
          ? JSON.stringify({ ...(JSON.parse(await plain.readText(path)) as object), ...change })
          : plain.readText(path),
    };
    await expect(openModel({ model })).rejects.toThrow(what);
  });
});

describe("folders in the wrong place are named", () => {
  it.each([
    ["vae", "tiny-a-controlnet", "tiny-a-controlnet is no VAE: it is a ControlNet"],
    ["vae", "tiny-a/unet", "unet is no VAE: it is a UNet"],
    [
      "motion",
      "tiny-a-sparse",
      "tiny-a-sparse holds no motion modules for Stable Diffusion 1.5: it is an AnimateDiff SparseCtrl",
    ],
    ["motion", "tiny-a/vae", "vae holds no motion modules for Stable Diffusion 1.5: it is a VAE"],
  ])("--%s %s", async (part, path, message) => {
    const model = await openFolder(fixturePath("tiny-a"));
    await expect(openModel({ model, [part]: await openFolder(fixturePath(path)) })).rejects.toThrow(message);
  });
});
