// What a resumed run is held against: the content of a model's files, of its LoRAs and of what guides the run, and how weights
// are stored; not where any of it lies, nor what changes no bits.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { blobSource, memorySource, type ByteSource } from "../../src/io/byte-source.js";
import { contentHash } from "../../src/io/checkpoint-hash.js";
import type { Folder } from "../../src/io/folder.js";
import { openFile, openFolder } from "../../src/io/node-file.js";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.js";
import { openWeights } from "../../src/io/weight-files.js";
import { loadIPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadControl } from "../../src/pipelines/control/network.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { decodeRunState, encodeRunState, type RunState } from "../../src/pipelines/run-state.js";
import { movingSquare } from "../io/clip.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

const bytesOf = (name: string) => new Uint8Array(readFileSync(fixturePath(name)));
const hashOf = async (source: ByteSource) => contentHash(await openWeights(source));

/** The safetensors file with one bit of its `nth` tensor (from 0, negative ones from the end) changed. */
async function changed(bytes: Uint8Array, nth: number): Promise<Uint8Array> {
  const { tensors } = await openSafetensors(memorySource("file", bytes));
  const copy = bytes.slice();
  copy[[...tensors.values()].at(nth)!.begin]! ^= 1;
  return copy;
}

/** The folder with one bit of the last tensor of the file `path` changed. */
function withChanged(folder: Folder, path: string): Folder {
  return {
    ...folder,
    open: async (name) => {
      const source = await folder.open(name);
      if (name !== path) return source;
      const bytes = await source.read(0, source.size);
      await source.close?.();
      return memorySource(name, await changed(bytes, -1));
    },
  };
}

describe("contentHash", () => {
  const NAME = "tiny-a/unet/diffusion_pytorch_model.safetensors";

  it("is the same wherever a file lies, and another where any tensor is", async () => {
    const bytes = bytesOf(NAME);
    const onDisk = await openWeights(await openFile(fixturePath(NAME)));
    const hash = await contentHash(onDisk);
    await onDisk.close();
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf(memorySource("in memory", bytes))).toBe(hash);
    expect(await hashOf(blobSource(new Blob([bytes]), "in a browser"))).toBe(hash);
    const hashes = new Set([hash]);
    const count = (await openSafetensors(memorySource("file", bytes))).tensors.size;
    const places = Array.from({ length: 8 }, (_, i) => Math.floor((i * (count - 1)) / 7));
    for (const nth of places) hashes.add(await hashOf(memorySource("changed", await changed(bytes, nth))));
    expect(hashes.size).toBe(9);
  });

  it("reads about a megabyte of a large file, and all of a small one", async () => {
    const values = new Uint8Array(4 * 2 ** 20);
    const tensor = (name: string, data: Uint8Array<ArrayBuffer>) =>
      ({ name, dtype: "F32", shape: [data.length / 4], data }) as const;
    const bytes = writeSafetensors(["a", "b", "c", "d"].map((name) => tensor(name, values)));
    const inner = memorySource("large", bytes);
    let read = 0;
    const counting = { ...inner, read: (at: number, n: number) => ((read += n), inner.read(at, n)) };
    await hashOf(counting);
    expect(read).toBeGreaterThan(2 ** 20);
    expect(read).toBeLessThan(1.01 * 2 ** 20);
    const ends = [0, 1].map((end) => writeSafetensors([tensor("a", new Uint8Array(2 ** 19).fill(end, -1))]));
    expect(await hashOf(memorySource("a", ends[0]!))).not.toBe(await hashOf(memorySource("a", ends[1]!)));
  });

  it("is of the values in a torch file too", async () => {
    const bytes = bytesOf("tiny-a-ip-full-face.bin");
    const hash = await hashOf(memorySource("a", bytes));
    bytes[await valuesAt(bytes)]! ^= 1;
    expect(await hashOf(memorySource("a", bytes))).not.toBe(hash);
  });
});

/** Where a tensor of a torch file begins. */
async function valuesAt(bytes: Uint8Array): Promise<number> {
  const file = await openWeights(memorySource("torch", bytes));
  for (const { name } of file.entries()) {
    const values = Buffer.from(await file.read(name, "stored"));
    if (values.length >= 64 && values.some((v) => v !== 0)) return Buffer.from(bytes).indexOf(values);
  }
  throw new Error("no values");
}

const RUN: GenerateOptions = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 2 };

describe("a run is not resumed with", () => {
  let model: Folder;
  let base: LoadOptions;
  let state: RunState;
  const lora = (bytes: Uint8Array) => [{ source: memorySource("lora", bytes), weight: 0.5 }];
  const LORA = "lora/attention.safetensors";

  /** The state of the run's first step on what `load` loads. */
  async function stateOf(load: LoadOptions, options: GenerateOptions = RUN): Promise<RunState> {
    using pipeline = (await loadPipeline(device, load)).pipeline;
    for await (const e of pipeline.generate(options))
      if (e.type === "step") return decodeRunState(memorySource("state", encodeRunState(await e.state())));
    throw new Error("no step");
  }

  async function resumed(load: LoadOptions) {
    using pipeline = (await loadPipeline(device, load)).pipeline;
    return await last(pipeline.generate({ ...RUN, resume: state }));
  }

  beforeAll(async () => {
    model = await openFolder(fixturePath("tiny-a"));
    base = { model, loras: lora(bytesOf(LORA)), precision: "f32", weights: "f16" };
    state = await stateOf(base);
  });

  it.each([
    ["text encoder", "text_encoder/model.safetensors"],
    ["UNet", "unet/diffusion_pytorch_model.safetensors"],
    ["VAE", "vae/diffusion_pytorch_model.safetensors"],
    ["motion modules", "motion_adapter/diffusion_pytorch_model.safetensors"],
  ])("another %s of the same layout", async (part, path) => {
    const load = { ...base, model: withChanged(model, path) };
    await expect(resumed(load)).rejects.toThrow(`is of a run with another model (other ${part}); load what`);
  });

  it("another LoRA of the same layout, the same otherwise weighted, or none", async () => {
    const other = lora(await changed(bytesOf(LORA), -1));
    const heavier = lora(bytesOf(LORA)).map((l) => ({ ...l, weight: 0.6 }));
    for (const loras of [other, heavier, []])
      await expect(resumed({ ...base, loras })).rejects.toThrow("another model (other LoRAs)");
  });

  it("other LoRAs after they were exchanged", async () => {
    using pipeline = (await loadPipeline(device, base)).pipeline;
    await pipeline.setLoras(lora(await changed(bytesOf(LORA), -1)));
    await expect(last(pipeline.generate({ ...RUN, resume: state }))).rejects.toThrow("another model (other LoRAs)");
  });

  it("weights that are stored otherwise", async () => {
    await expect(resumed({ ...base, weights: "int8" })).rejects.toThrow("another model (other storage of weights)");
  });

  it.each([
    ["configuration", "scheduler/scheduler_config.json", '"beta_end": 0.012', '"beta_end": 0.014'],
    ["tokenizer", "tokenizer/tokenizer_config.json", "<|startoftext|>", "<|endoftext|>"],
  ])("another %s", async (part, file, from, to) => {
    const readText = async (path: string) => {
      const text = await model.readText(path);
      return path === file ? text.replaceAll(from, to) : text;
    };
    await expect(resumed({ ...base, model: { ...model, readText } })).rejects.toThrow(`another model (other ${part})`);
  });

  it("but it is from another place, and where weights wait on the host: to the same bits", async () => {
    using pipeline = (await loadPipeline(device, base)).pipeline;
    const whole = await last(pipeline.generate(RUN));
    const moved = { ...model, name: "elsewhere", open: async (path: string) => model.open(path) };
    const again = await resumed({ ...base, model: moved, lowMemory: true, encoder: true });
    expect(Buffer.compare(again.frames.rgba, whole.frames.rgba)).toBe(0);
  });

  it("another control network, IP-Adapter or image encoder of the same layout", async () => {
    using pipeline = (await loadPipeline(device, { model, precision: "f32" })).pipeline;
    const picture = movingSquare(16, 16, 1);
    const folder = (name: string) => openFolder(fixturePath(name));
    const [control, encoder] = [await folder("tiny-a-controlnet"), await folder("tiny-a-ip-encoder")];
    const ip = bytesOf("tiny-a-ip-adapter.safetensors");
    const weightsIn = async (f: Folder) => (await f.list()).find((p) => p.endsWith(".safetensors"))!;
    const guides = async (c: Folder, a: Uint8Array, e: Folder) => {
      const network = await loadControl(device, c, { precision: "f32" });
      const parts = { adapter: memorySource("ip", a), encoder: e, precision: "f32" } as const;
      const adapter = await loadIPAdapter(device, pipeline.parts.unet, parts);
      return {
        options: { controls: [{ network, frames: picture }], imagePrompts: [{ adapter, images: [picture] }] },
        dispose: () => [network, adapter].forEach((owned) => owned.dispose()),
      };
    };
    const first = await guides(control, ip, encoder);
    let kept: RunState | undefined;
    for await (const e of pipeline.generate({ ...RUN, ...first.options }))
      if (e.type === "step") kept ??= await e.state();
    first.dispose();
    for (const [name, second] of [
      ["controls", await guides(withChanged(control, await weightsIn(control)), ip, encoder)],
      ["imagePrompts", await guides(control, await changed(ip, -1), encoder)],
      ["imagePrompts", await guides(control, ip, withChanged(encoder, await weightsIn(encoder)))],
    ] as const) {
      const run = last(pipeline.generate({ ...RUN, ...second.options, resume: kept! }));
      await expect(run).rejects.toThrow(`another run: its ${name} was`);
      second.dispose();
    }
  });
});
