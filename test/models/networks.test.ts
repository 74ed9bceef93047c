// Whole networks of two small models against diffusers and transformers (test/reference/networks.py). tiny-a makes Stable
// Diffusion 1.5's choices, tiny-b the other one wherever there is one.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { endOfText } from "../../src/models/clip/text-model.js";
import { buildModels, type BuiltModels } from "../../src/pipelines/build.js";
import { fromChannelsLast, toChannelsLast } from "../../src/pipelines/latents.js";
import { openModel, type ModelFiles } from "../../src/pipelines/model-files.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

/** About 60 layers deep, in f32; PyTorch's own f32 result is up to 1e-6 from its f64 one. */
const TOLERANCE = 1e-5;

interface UNetCase {
  readonly timestep: number;
  readonly motion_norm: "joint" | "frame";
  readonly frames: number;
}

describe.each(["tiny-a", "tiny-b"])("%s", (name) => {
  let device: Device;
  let fixture: Fixture;
  let files: ModelFiles;
  let models: BuiltModels;
  beforeAll(async () => {
    device = await testDevice();
    fixture = await Fixture.open(`${name}-networks.safetensors`);
    const folder = await openFolder(fixturePath(name));
    files = await openModel({ model: folder });
    models = buildModels(device, files.configs, { storage: { weights: "f32" }, encoder: true, unetWeights: files.weights.unet });
    for (const key of ["text", "unet", "vae"] as const) await models.stores[key].load(files.weights[key]);
  });
  afterAll(async () => {
    for (const store of Object.values(models.stores)) store.dispose();
    await files.close();
  });

  it("CLIPTextModel", async () => {
    const cases = fixture.json<Record<string, { prompt: string; clip_skip: number }>>("cases");
    const texts = Object.entries(cases).filter(([key]) => key.startsWith("text-"));
    expect(texts.length).toBeGreaterThan(3);
    for (const [key, { prompt, clip_skip }] of texts) {
      const { ids } = files.tokenizer.encode(prompt);
      const expectedIds = await fixture.values(`${key}.in.ids`);
      expect(ids).toEqual([...expectedIds]);
      using y = models.text.forward(device, [ids], "f32", clip_skip);
      expectClose(await y.read(), await fixture.values(`${key}.out`), TOLERANCE);
    }
  });

  it("finds the end of a text as transformers does", () => {
    const { ids } = files.tokenizer.encode("a red circle");
    expect(endOfText(ids)).toBe(ids.indexOf(files.tokenizer.eosTokenId));
  });

  it("UNetMotionModel", async () => {
    const cases = fixture.json<Record<string, UNetCase>>("cases");
    const runs = Object.entries(cases).filter(([key]) => key.startsWith("unet-"));
    expect(runs.length).toBeGreaterThan(5);
    for (const [key, { timestep, motion_norm: norm, frames }] of runs) {
      const [b = 1, c = 4, f = 1, h = 1, w = 1] = fixture.shape(`${key}.in.sample`);
      const clips = await fixture.values(`${key}.in.sample`);
      const clip = (i: number) => toChannelsLast(clips.subarray((i * clips.length) / b, ((i + 1) * clips.length) / b), [c, f, h, w]);
      const sample = Float32Array.from(Array.from({ length: b }, (_, i) => [...clip(i)]).flat());
      using x = Tensor.from(device, sample, [b * f, h, w, c], "f32", "sample");
      using states = Tensor.from(device, await fixture.values(`${key}.in.text`), fixture.shape(`${key}.in.text`), "f32", "text");
      const text = models.unet.prepareText(states);
      using time = models.unet.timeEmbeddings(device, [timestep], "f32");
      using y = models.unet.forward(x, { time, text, clip: { frames, norm } });
      const found = await y.read();
      const each = found.length / b;
      const inTorchsLayout = Array.from({ length: b }, (_, i) => [...fromChannelsLast(found.subarray(i * each, (i + 1) * each), c)]).flat();
      expectClose(inTorchsLayout, await fixture.values(`${key}.out`), TOLERANCE);
      for (const t of text.values()) t.dispose();
    }
  });

  it("AutoencoderKL, decoder and encoder", async () => {
    const cases = Object.keys(fixture.json<object>("cases")).filter((key) => /^(decode|encode)-/.test(key));
    expect(cases.length).toBe(4);
    for (const key of cases) {
      const { values, shape } = await fixture.channelsLast(`${key}.in.${key.startsWith("decode") ? "latents" : "image"}`);
      using x = Tensor.from(device, values, shape, "f32", key);
      using y = key.startsWith("decode") ? models.vae.decoder.forward(x) : models.vae.encoder!.forward(x);
      expectClose(await y.read(), (await fixture.channelsLast(`${key}.out`)).values, TOLERANCE);
    }
  });
});
