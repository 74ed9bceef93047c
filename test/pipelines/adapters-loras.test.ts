// LoRAs changed while adapters are loaded: adapters stay as they are, and frames are those of a model loaded with the LoRAs.

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource } from "../../src/io/safetensors.js";
import { loadIPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadControl } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { LoraSource } from "../../src/pipelines/loras.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { movingSquare } from "../io/clip.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

const SMALL: GenerateOptions = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 1 };
const precision = "f32";
const read = (name: string) => memorySource(name, readFileSync(fixturePath(name)));
const lora = (): LoraSource => ({ source: read("tiny-a-lora.safetensors"), weight: 0.8 });
const picture = movingSquare(16, 16, 1);

it("with a ControlNet and an IP-Adapter loaded", async () => {
  const device = await testDevice();
  using network = await loadControl(device, await openFolder(fixturePath("tiny-a-controlnet")), { precision });
  const open = async (loras: readonly LoraSource[]) => {
    const model = await openFolder(fixturePath("tiny-a"));
    const { pipeline } = await loadPipeline(device, { model, precision, loras });
    const encoder = await openFolder(fixturePath("tiny-a-ip-encoder"));
    const files = { adapter: read("tiny-a-ip-plus.safetensors"), encoder, precision } as const;
    const adapter = await loadIPAdapter(device, pipeline.parts.unet, files);
    const inputs = { controls: [{ network, frames: picture }], imagePrompts: [{ adapter, images: [picture] }] };
    const run = async () => (await last(pipeline.generate({ ...SMALL, ...inputs }))).latents;
    const dispose = () => {
      adapter.dispose();
      pipeline.dispose();
    };
    return { pipeline, run, [Symbol.dispose]: dispose };
  };
  using changed = await open([]);
  using fresh = await open([lora()]);
  const before = await changed.run();
  await changed.pipeline.setLoras([lora()]);
  const [after, expected] = [await changed.run(), await fresh.run()];
  expect(after).toEqual(expected);
  expect(after).not.toEqual(before);
  await changed.pipeline.setLoras([]);
  expect(await changed.run()).toEqual(before);
});

it("with AnimateLCM-I2V's image encoder", async () => {
  const device = await testDevice();
  const open = async (loras: readonly LoraSource[]) => {
    const [model, motion] = [await openFolder(fixturePath("tiny-a")), await openFolder(fixturePath("tiny-a-i2v"))];
    return (await loadPipeline(device, { model, motion, precision, loras })).pipeline;
  };
  const run = async (p: Awaited<ReturnType<typeof open>>) =>
    (await last(p.generate({ ...SMALL, image: picture }))).latents;
  using changed = await open([]);
  using fresh = await open([lora()]);
  const before = await run(changed);
  await changed.setLoras([lora()]);
  const after = await run(changed);
  expect(after).toEqual(await run(fresh));
  expect(after).not.toEqual(before);
  await changed.setLoras([]);
  expect(await run(changed)).toEqual(before);
});
