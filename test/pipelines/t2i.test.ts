// T2I-Adapter against diffusers' (test/reference/pipelines_t2i.py).

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { renameWeights } from "../../src/io/names/renamed.js";
import { readT2IAdapter } from "../../src/io/names/t2i-adapter.js";
import { openFolder } from "../../src/io/node-file.js";
import { grey } from "../../src/io/preprocess.js";
import { openWeights, type WeightFile } from "../../src/io/weight-files.js";
import { foldPixels, t2iAdapterConfig, T2IAdapterModel } from "../../src/models/adapters/t2i-adapter.js";
import { WeightStore } from "../../src/nn/weights.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
let adapter: ControlNetwork;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-t2i.safetensors");
  ({ pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-b")), precision: "f32" }));
  adapter = await loadControl(device, await openFolder(fixturePath("tiny-b-t2i")), { precision: "f32" });
});
afterAll(() => {
  for (const owned of [pipeline, adapter]) owned.dispose();
});

type Case = GenerateOptions & { readonly scale: number; readonly factor: number };
const caseOf = (name: string) => fixture.json<Record<string, Case>>("cases")[name]!;
const latentsOf = async (options: GenerateOptions) => (await last(pipeline.generate(options))).latents;

/** The fixture's tensors below a prefix as a file. */
async function weightsOf(prefix: string): Promise<WeightFile> {
  const name = "pipelines-t2i.safetensors";
  const file = await openWeights(memorySource(name, readFileSync(fixturePath(name))));
  const names = [...file.entries()].map((e) => e.name).filter((n) => n.startsWith(prefix));
  return renameWeights(file, new Map(names.map((from) => [from.slice(prefix.length), { from }])));
}

describe("T2IAdapter", () => {
  it.each([
    ["light", 3],
    ["grey", 1],
  ] as const)("makes diffusers' maps: %s", async (name, channels) => {
    const weights = readT2IAdapter(await weightsOf(`${name}.weights.`));
    const config = t2iAdapterConfig(name, weights.entries());
    expect(config).toMatchObject({ form: name === "light" ? "light" : "full", pictureChannels: channels });
    const store = new WeightStore(device, "f32");
    const model = new T2IAdapterModel(store.root, config);
    await store.load(weights);
    const picture = await clipOf(fixture, `${name}.in`);
    const { count, height, width } = picture;
    const bytes = channels === 1 ? grey(picture) : picture.rgba.filter((_, i) => i % 4 !== 3);
    const folded = foldPixels(
      Float32Array.from(bytes, (v) => v / 255),
      [count, height, width, channels],
      config.factor,
    );
    const [h, w] = [height / config.factor, width / config.factor];
    using x = Tensor.from(device, folded, [count, h, w, config.inChannels]);
    for (const [level, map] of model.forward(x).entries()) {
      const expected = await fixture.channelsLast(`${name}.out.${level}`);
      expect(map.shape).toEqual(expected.shape);
      expectClose(await map.read(), expected.values, 2e-6);
      map.dispose();
    }
    store.dispose();
  });

  it.each(["t2i-plain", "t2i-guided", "t2i-part"])("makes diffusers' pictures in f32: %s", async (name) => {
    const { scale, factor, ...c } = caseOf(name);
    const frames = await clipOf(fixture, `${name}.in.control`);
    const controls = [{ network: adapter, frames, scale, end: factor }];
    const e = await last(pipeline.generate({ ...c, controls, plainPrompt: true })); // diffusers cuts off what is too long
    expect(relativeL2(e.latents, await fixture.values(`${name}.latents`))).toBeLessThan(1e-4);
    expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`))).toBeGreaterThan(60);
  });

  it("reads the original names from a PyTorch file", async () => {
    const source = memorySource("t2i.pth", readFileSync(fixturePath("tiny-b-t2i-original.pth")));
    using network = await loadControl(device, source, { precision: "f32" });
    const c = { ...caseOf("t2i-plain"), steps: 1 };
    const frames = await clipOf(fixture, "t2i-plain.in.control");
    const own = await latentsOf({ ...c, controls: [{ network, frames }] });
    expect(own).toEqual(await latentsOf({ ...c, controls: [{ network: adapter, frames }] }));
  });

  it("follows its frames through windows, and takes one picture for all", async () => {
    const frames = await clipOf(fixture, "t2i-plain.in.control");
    const c = { prompt: "a star", frames: 5, width: 56, height: 40, steps: 2 };
    const still = { ...frames, count: 1, rgba: frames.rgba.slice(0, frames.rgba.length / 5) };
    const repeated = { ...frames, rgba: Uint8Array.from(frames.rgba, (_, i) => still.rgba[i % still.rgba.length]!) };
    const run = (picture: typeof frames, options: Partial<GenerateOptions> = {}) =>
      latentsOf({ ...c, ...options, controls: [{ network: adapter, frames: picture }] });
    expect(await run(still)).toEqual(await run(repeated));
    // Around the clip's end, one window shifts from step to step: its maps have to shift with it.
    const looped = { long: "window", context: 5, stride: 5, contextSchedule: "looped" } as const;
    expect(relativeL2(await run(frames, looped), await run(still, looped))).toBeGreaterThan(1e-3);
    expect(await run(repeated, looped)).toEqual(await run(still, looped));
  });

  it("names what does not fit", async () => {
    const frames = await clipOf(fixture, "t2i-plain.in.control");
    const c = { prompt: "a star", frames: 4, width: 56, height: 40 };
    const run = (more: object, options = {}) =>
      latentsOf({ ...c, ...options, controls: [{ network: adapter, frames, ...more }] });
    await expect(run({})).rejects.toThrow(/tiny-b-t2i got 5 pictures for 4 frames; give one for each, or one for all/);
    await expect(run({ guess: true }, { frames: 5 })).rejects.toThrow(/T2I-Adapter, which has no guess mode/);
    await expect(run({ at: [0] })).rejects.toThrow(/is a T2I-Adapter and reads a picture for every frame/);
    const { pipeline: other } = await loadPipeline(device, {
      model: await openFolder(fixturePath("tiny-a")),
      precision: "f32",
    });
    using _ = other;
    await expect(last(other.generate({ prompt: "a", controls: [{ network: adapter, frames }] }))).rejects.toThrow(
      "tiny-b-t2i is made for a base model of widths 12, 24, 32, 8 × 8 pixels a latent, but this model has widths 16, 40, 4 × 4 pixels a latent",
    );
    const lora = memorySource("lora.safetensors", readFileSync(fixturePath("tiny-a-lora.safetensors")));
    await expect(loadControl(device, lora)).rejects.toThrow(
      /lora.safetensors is no ControlNet, SparseCtrl encoder or T2I-Adapter .* it is a/,
    );
  });
});
