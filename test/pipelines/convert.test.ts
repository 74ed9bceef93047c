// Conversions there and back, byte for byte; what real writers wrote, as another writer writes it.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { memoryFolder, type Folder } from "../../src/io/folder.js";
import { originalMotionNames } from "../../src/io/names/motion.js";
import { openSafetensors, streamSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import type { ConvertOptions } from "../../src/pipelines/convert-parts.js";
import { planConversion } from "../../src/pipelines/convert.js";
import { openDiffusersFolder } from "../../src/pipelines/base-files.js";
import { fixturePath } from "../support/fixtures.js";
import { modelFolder, parts, singleFile, weightsFile } from "../support/small-model.js";

/** The files of a conversion; a single one under "". */
async function convert(source: Folder | ByteSource, options: ConvertOptions) {
  const conversion = await planConversion(source, options);
  const files = new Map<string, Uint8Array>();
  for (const f of conversion.files) {
    const pieces: Uint8Array[] = [];
    if ("text" in f) pieces.push(new TextEncoder().encode(f.text));
    else for await (const piece of streamSafetensors(f.tensors, f.metadata)) pieces.push(piece.slice());
    files.set(f.path, Buffer.concat(pieces));
  }
  await conversion.close();
  expect([...files.values()].reduce((n, f) => n + f.length, 0)).toBe(conversion.bytes);
  return { ...conversion, files, file: files.get("")! };
}

const file = (bytes: Uint8Array, name = "x.safetensors") => memorySource(name, bytes);
const fixture = (path: string) => file(readFileSync(fixturePath(path)), path);
/** Byte for byte, without printing megabytes where it fails. */
const same = (a: Uint8Array | undefined, b: Uint8Array | undefined) => expect(Buffer.compare(a!, b!)).toBe(0);
const hash = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest("hex");
/** Type, shape and hash of each tensor. */
async function tensors(bytes: Uint8Array): Promise<Record<string, string>> {
  const f = await openSafetensors(file(bytes));
  const list = [...f.tensors.values()].map(async ({ name, dtype, shape }) => [
    name,
    `${dtype} ${shape.join()} ${hash(await f.read(name))}`,
  ]);
  return Object.fromEntries((await Promise.all(list)) as [string, string][]) as Record<string, string>;
}

describe("a whole model", () => {
  it("goes from folder to file to folder, byte for byte", async () => {
    const source = modelFolder(false);
    const one = await convert(source, { to: "file" });
    expect(one.description).toContain("LDM's names");
    const back = await convert(file(one.file), { to: "folder" });
    for (const path of await source.list())
      if (path.endsWith(".safetensors"))
        same(back.files.get(path), await (await source.open(path)).read(0, (await source.open(path)).size));
    same((await convert(memoryFolder("back", back.files), { to: "file" })).file, one.file);
    // What the form of a folder wants beside weights is there, and says the same.
    const opened = await openDiffusersFolder(memoryFolder("back", back.files), { tokenizer: true, vae: true });
    for (const [key, value] of Object.entries({
      attention_head_dim: 8,
      layers_per_block: 1,
      cross_attention_dim: 64,
      block_out_channels: [32, 64],
    }))
      expect(opened.unet.config.json[key]).toEqual(value);
    expect(opened.tokenizer.encode("a red star", { pad: false }).ids).toEqual([49406, 320, 736, 1565, 49407]);
    expect(opened.scheduler).toMatchObject({ beta_schedule: "scaled_linear", prediction_type: "epsilon" });
  });

  it("goes from file to folder to file, byte for byte", async () => {
    const source = await singleFile();
    const bytes = await source.read(0, source.size);
    const folder = await convert(source, { to: "folder" });
    expect([...folder.files.keys()]).toEqual([
      "model_index.json",
      "scheduler/scheduler_config.json",
      "tokenizer/vocab.json",
      "tokenizer/merges.txt",
      "tokenizer/special_tokens_map.json",
      "tokenizer/tokenizer_config.json",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors",
      "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors",
    ]);
    same((await convert(memoryFolder("folder", folder.files), { to: "file" })).file, bytes);
  });

  it("rounds once to f16, keeps integers, and refuses what f16 does not hold", async () => {
    const half = await convert(modelFolder(false), { to: "file", dtype: "f16" });
    const f = await openSafetensors(file(half.file));
    expect([...new Set([...f.tensors.values()].map((t) => t.dtype))]).toEqual(["F16"]);
    const name = "model.diffusion_model.out.2.weight";
    const stored = parts.unet.find((w) => w.name === "conv_out.weight")!.values;
    const one = await openSafetensors(file(weightsFile([{ name, shape: [stored.length], values: stored }])));
    same(await f.read(name), await one.read(name, "f16"));
    same((await convert(file(half.file), { to: "file", dtype: "f16" })).file, half.file);
    const mixed = writeSafetensors([
      { name: "i", dtype: "I64", shape: [1], data: new Uint8Array(8) },
      { name: "x", dtype: "F32", shape: [2], data: new Uint8Array(new Float32Array([1, 70000]).buffer) },
    ]);
    await expect(convert(file(mixed), { to: "file", dtype: "f16" })).rejects.toThrow(
      'element 1 of "x" is no number that f16 holds',
    );
    const f32 = await convert(file(mixed), { to: "file", dtype: "f32" });
    expect(await tensors(f32.file)).toEqual(await tensors(mixed));
  });

  it("leaves motion modules out of one file, and says so", async () => {
    const one = await convert(modelFolder(true), { to: "file" });
    expect(one.notes).toEqual([expect.stringContaining("no place for motion modules")]);
    same(one.file, (await convert(modelFolder(false), { to: "file" })).file);
  });

  it("keeps a folder a folder, in another type", async () => {
    const source = modelFolder(true);
    const half = await convert(source, { to: "folder", dtype: "f16" });
    expect([...half.files.keys()].toSorted()).toEqual((await source.list()).toSorted());
    expect(half.files.get("unet/diffusion_pytorch_model.safetensors")!.length).toBeLessThan(
      weightsFile(parts.unet).length * 0.55,
    );
  });

  it("refuses settings that one file cannot carry", async () => {
    const source = modelFolder(false);
    const odd = (path: string, change: Record<string, unknown>): Folder => ({
      ...source,
      list: async () => [...(await source.list()), "scheduler/scheduler_config.json"],
      readText: async (p) =>
        p === path
          ? JSON.stringify({
              ...(p.startsWith("scheduler") ? {} : (JSON.parse(await source.readText(p)) as object)),
              ...change,
            })
          : p.startsWith("scheduler")
            ? "{}"
            : source.readText(p),
    });
    const refused = async (path: string, change: Record<string, unknown>, message: string) =>
      expect(convert(odd(path, change), { to: "file" })).rejects.toThrow(message);
    await refused("unet/config.json", { attention_head_dim: [5, 10] }, "attention_head_dim is 5");
    await refused("vae/config.json", { scaling_factor: 0.13025 }, "scaling_factor is 0.13025");
    await refused("scheduler/scheduler_config.json", { prediction_type: "v_prediction" }, 'is "v_prediction"');
  });
});

describe("parts", () => {
  it("motion modules: adapter to original to adapter, byte for byte", async () => {
    const adapter = modelFolder(true);
    const folder: Folder = {
      name: "adapter",
      list: async () => (await adapter.list()).filter((p) => p.startsWith("motion_adapter/")).map((p) => p.slice(15)),
      open: async (p) => adapter.open(`motion_adapter/${p}`),
      readText: async (p) => adapter.readText(`motion_adapter/${p}`),
    };
    // A MotionAdapter stores its encodings; the invented one has none.
    const made = await convert(folder, { to: "folder" });
    const original = await convert(memoryFolder("a", made.files), { to: "file" });
    const names = Object.keys(await tensors(original.file));
    expect(names.filter((n) => n.endsWith("pos_encoder.pe")).length).toBeGreaterThan(3);
    expect(names.every((n) => n.includes("temporal_transformer."))).toBe(true);
    const back = await convert(file(original.file), { to: "folder" });
    expect(back.notes).toContainEqual(expect.stringContaining("--motion-norm frame"));
    same(back.files.get("diffusion_pytorch_model.safetensors"), made.files.get("diffusion_pytorch_model.safetensors"));
    expect(JSON.parse(new TextDecoder().decode(back.files.get("config.json")))).toMatchObject({
      _class_name: "MotionAdapter",
      block_out_channels: [32, 64],
      motion_max_seq_length: 64,
      motion_layers_per_block: 1,
    });
    same((await convert(file(original.file), { to: "file" })).file, original.file);
    const diffusers = await convert(file(original.file), { to: "file", names: "diffusers" });
    same(diffusers.file, made.files.get("diffusion_pytorch_model.safetensors"));
  });

  it("motion modules without encodings get them, as diffusers makes them", async () => {
    const bare = file(weightsFile(parts.motion.map((w) => ({ ...w, name: originalMotionNames(w.name)[0]! }))));
    const made = await tensors((await convert(bare, { to: "file", names: "diffusers" })).file);
    const pe = Object.keys(made).filter((n) => n.endsWith("pos_embed.pe"));
    expect(pe.length).toBe(Object.keys(made).filter((n) => n.endsWith(".norm1.weight")).length);
    expect(made[pe[0]!]).toMatch(/^F32 1,64,\d+ /);
  });

  it("a VAE: diffusers to LDM and back, and to a folder", async () => {
    const own = weightsFile(parts.vae);
    const ldm = await convert(file(own), { to: "file", names: "original" });
    expect(Object.keys(await tensors(ldm.file))).toContain("decoder.mid.attn_1.q.weight");
    same((await convert(file(ldm.file), { to: "file", names: "original" })).file, ldm.file);
    same((await convert(file(ldm.file), { to: "file", names: "diffusers" })).file, own);
    const folder = await convert(file(ldm.file), { to: "folder" });
    same(folder.files.get("diffusion_pytorch_model.safetensors"), own);
    same((await convert(memoryFolder("vae", folder.files), { to: "file" })).file, ldm.file);
  });

  it.each(["attention", "dora"])("the LoRA %s: diffusers to kohya and back", async (name) => {
    const source = readFileSync(fixturePath(`lora/${name}.safetensors`));
    const kohya = await convert(file(source), { to: "file", names: "kohya" });
    expect(await tensors(kohya.file)).toEqual(
      await tensors(readFileSync(fixturePath(`lora/${name}-kohya.safetensors`))),
    );
    const diffusers = await convert(file(kohya.file), { to: "file", names: "diffusers" });
    expect(Object.keys(await tensors(diffusers.file))[0]).toMatch(/^unet\..*\.lora_A\.weight$/);
    expect(await tensors((await convert(file(diffusers.file), { to: "file", names: "kohya" })).file)).toEqual(
      await tensors(kohya.file),
    );
  });

  it("refuses what has no such form, and says what it is", async () => {
    const lora = () => fixture("lora/attention.safetensors");
    await expect(convert(lora(), { to: "folder" })).rejects.toThrow(
      /is a LoRA for SD 1.5; folders are written of whole models/,
    );
    await expect(convert(lora(), { to: "file", names: "original" })).rejects.toThrow("diffusers' or kohya's names");
    await expect(convert(fixture("embeddings/toy.safetensors"), { to: "file", names: "kohya" })).rejects.toThrow(
      "whose names stay as they are",
    );
    await expect(convert(file(weightsFile(parts.unet)), { to: "folder" })).rejects.toThrow(
      "is a UNet in diffusers' names",
    );
  });
});

describe("containers", () => {
  it("torch.save's file becomes what safetensors' own writer writes", async () => {
    const converted = await convert(fixture("torch/training.ckpt"), { to: "file" });
    expect(await tensors(converted.file)).toEqual(
      await tensors(readFileSync(fixturePath("torch/training.safetensors"))),
    );
    expect(converted.notes.join()).toContain('only "state_dict" is read');
    const types = await convert(fixture("torch/types.pt"), { to: "file" });
    expect(await tensors(types.file)).toEqual(await tensors(readFileSync(fixturePath("torch/types.safetensors"))));
  });
});
