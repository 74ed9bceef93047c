// Runs take what they need once: a step after the first makes no GPU buffer, and run after run of every mode, nothing is
// left behind. On a device that computes nothing, but on which everything else happens. LEAK_RUNS=100 for a longer look.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadIPAdapter, type IPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { movingSquare } from "../io/clip.js";
import { fixturePath } from "../support/fixtures.js";
import { nullDevice } from "../support/null-device.js";

const RUNS = Number(process.env["LEAK_RUNS"] ?? 2);

let gpu: Awaited<ReturnType<typeof nullDevice>>;
let pipeline: AnimateDiffPipeline;
/** With AnimateLCM-I2V's image encoder. */
let animated: AnimateDiffPipeline;
let streamed: AnimateDiffPipeline;
let network: ControlNetwork;
let sparse: ControlNetwork;
let adapter: IPAdapter;
const file = (name: string) => memorySource(name, readFileSync(fixturePath(name)));
beforeAll(async () => {
  gpu = await nullDevice();
  const { device } = gpu;
  const model = await openFolder(fixturePath("tiny-a"));
  const motion = await openFolder(fixturePath("tiny-a-i2v"));
  ({ pipeline } = await loadPipeline(device, { model, encoder: true, precision: "f32" }));
  ({ pipeline: animated } = await loadPipeline(device, { model, motion, precision: "f32" }));
  ({ pipeline: streamed } = await loadPipeline(device, { model, weights: "int8", lowMemory: true }));
  network = await loadControl(device, await openFolder(fixturePath("tiny-a-controlnet")), { precision: "f32" });
  sparse = await loadControl(device, await openFolder(fixturePath("tiny-a-sparse")), { precision: "f32" });
  adapter = await loadIPAdapter(device, pipeline.parts.unet, {
    adapter: file("tiny-a-ip-adapter.safetensors"),
    encoder: await openFolder(fixturePath("tiny-a-ip-encoder")),
    precision: "f32",
  });
});
afterAll(() => {
  for (const owned of [adapter, sparse, network, streamed, animated, pipeline]) owned.dispose();
  gpu.device.dispose();
});

const RUN: GenerateOptions = { prompt: "a red circle", frames: 6, width: 16, height: 16, steps: 4 };
const WINDOWS: GenerateOptions = { ...RUN, long: "window", context: 4, stride: 2 };
const picture = movingSquare(16, 16, 1);

/** Runs to the end; GPU buffers made between the first step's end and the last one's. */
async function run(on: AnimateDiffPipeline, options: GenerateOptions): Promise<number> {
  let first: number | undefined;
  let last = 0;
  for await (const e of on.generate(options)) {
    if (e.type !== "step") continue;
    last = gpu.buffers().created;
    first ??= last;
  }
  return last - first!;
}

it.each<[string, () => Promise<number>]>([
  ["text to video", () => run(pipeline, RUN)],
  ["guidance and a sampler with noise", () => run(pipeline, { ...RUN, guidance: 2, scheduler: "euler-a" })],
  ["a sampler with memory", () => run(pipeline, { ...RUN, scheduler: "dpm++", steps: 6 })],
  ["8-bit weights, streamed", () => run(streamed, RUN)],
  ["video to video", () => run(pipeline, { ...RUN, video: movingSquare(16, 16, 6), strength: 1 })],
  ["image to video", () => run(animated, { ...RUN, image: picture })],
  ["ControlNet", () => run(pipeline, { ...RUN, controls: [{ network, frames: movingSquare(16, 16, 6) }] })],
  ["SparseCtrl", () => run(pipeline, { ...RUN, controls: [{ network: sparse, frames: picture, at: [0] }] })],
  ["regional prompts", () => run(pipeline, { ...RUN, regions: [{ prompt: "x", area: [0, 0, 0.5, 1] }] })],
  ["IP-Adapter", () => run(pipeline, { ...RUN, imagePrompts: [{ adapter, images: [picture], scale: 0.5 }] })],
  ["FreeNoise", () => run(pipeline, { ...RUN, long: "free-noise", context: 4, stride: 2 })],
  [
    "FreeNoise with frames that wait on the host",
    () => run(pipeline, { ...RUN, steps: 2, frames: 66, long: "free-noise", context: 8, stride: 8 }),
  ],
  ["context windows", () => run(pipeline, WINDOWS)],
  [
    "looped windows and prompt travel",
    () => run(pipeline, { ...WINDOWS, contextSchedule: "looped", promptAt: { 3: "x" } }),
  ],
  ["FreeInit", () => run(pipeline, { ...RUN, freeInit: 2 })],
  [
    "another LoRA in each run",
    async () => {
      await pipeline.setLoras([{ source: file("lora/attention.safetensors"), weight: 0.5 }]);
      const made = await run(pipeline, RUN);
      await pipeline.setLoras([]);
      return made;
    },
  ],
])("%s allocates nothing in steps after the first, and leaves nothing behind", async (_, once) => {
  const { device, buffers } = gpu;
  await once();
  device.trim();
  const before = { used: device.memory.used, reserved: device.memory.reserved, alive: buffers().alive };
  for (let i = 0; i < RUNS; i++) {
    expect(await once()).toBe(0);
    device.trim();
    expect({ used: device.memory.used, reserved: device.memory.reserved, alive: buffers().alive }).toEqual(before);
  }
});
