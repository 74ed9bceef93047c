// Runs that are stopped, or fail, wherever they wait for the device: nothing of them is left there, and the next run makes the
// same bits as ever, though uploads of weights that rest on the host were dropped with the work.

import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadIPAdapter, type IPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import { loadControl, type ControlNetwork } from "../../src/pipelines/control/network.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { movingSquare } from "../io/clip.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath, storedAsF32 } from "../support/fixtures.js";

let device: Device;
let pipeline: AnimateDiffPipeline;
/** With AnimateLCM-I2V's image encoder. */
let animated: AnimateDiffPipeline;
/** Of the family that the T2I-Adapter is made for. */
let other: AnimateDiffPipeline;
let t2i: ControlNetwork;
let controlnet: ControlNetwork;
let sparse: ControlNetwork;
let adapter: IPAdapter;
beforeAll(async () => {
  device = await testDevice();
  const folder = (name: string) => openFolder(fixturePath(name));
  const [model, motion, precision] = [await folder("tiny-a"), await folder("tiny-a-i2v"), "f32" as const];
  ({ pipeline } = await loadPipeline(device, { model, encoder: true, precision }));
  ({ pipeline: animated } = await loadPipeline(device, { model, motion, precision }));
  ({ pipeline: other } = await loadPipeline(device, { model: await folder("tiny-b"), precision }));
  t2i = await loadControl(device, await folder("tiny-b-t2i"), { precision });
  controlnet = await loadControl(device, await folder("tiny-a-controlnet"), { precision });
  sparse = await loadControl(device, await folder("tiny-a-sparse"), { precision });
  const name = "tiny-a-ip-adapter.safetensors";
  adapter = await loadIPAdapter(device, pipeline.parts.unet, {
    adapter: memorySource(name, readFileSync(fixturePath(name))),
    encoder: await folder("tiny-a-ip-encoder"),
    precision,
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(() => {
  for (const owned of [adapter, sparse, controlnet, t2i, other, animated, pipeline]) owned.dispose();
});

const RUN: GenerateOptions = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 1 };
const picture = movingSquare(16, 16, 1);

const latentsOf = async (on: AnimateDiffPipeline, options: GenerateOptions) =>
  (await last(on.generate(options))).latents;

/** From here on, the work of the k-th wait for the device is dropped, as that of a run that is stopped there. */
function stopAt(k: number): void {
  let left = k;
  const drain = device.drain.bind(device);
  vi.spyOn(device, "drain").mockImplementation((signal) =>
    drain(--left === 0 ? AbortSignal.abort(new Error("stopped")) : signal),
  );
}

describe("a run that is stopped, wherever it waits for the device, leaves nothing, and the next is as ever", () => {
  it.each<[string, () => readonly [AnimateDiffPipeline, GenerateOptions]]>([
    ["text to video", () => [pipeline, RUN]],
    ["video to video", () => [pipeline, { ...RUN, video: movingSquare(16, 16, 2), strength: 1 }]],
    ["image to video", () => [animated, { ...RUN, image: picture }]],
    ["T2I-Adapter", () => [other, { ...RUN, controls: [{ network: t2i, frames: picture }] }]],
    ["ControlNet", () => [pipeline, { ...RUN, controls: [{ network: controlnet, frames: picture }] }]],
    ["SparseCtrl", () => [pipeline, { ...RUN, controls: [{ network: sparse, frames: picture, at: [0] }] }]],
    ["IP-Adapter", () => [pipeline, { ...RUN, imagePrompts: [{ adapter, images: [picture] }] }]],
    ["regional prompts", () => [pipeline, { ...RUN, regions: [{ prompt: "x", area: [0, 0, 0.5, 1] }] }]],
  ])("%s", async (_, make) => {
    const [on, options] = make();
    const good = await latentsOf(on, options);
    const { used } = device.memory;
    const wrong: string[] = [];
    let places = 0;
    for (let ended = false; !ended; places++) {
      stopAt(places + 1);
      ended = await latentsOf(on, options).then(
        () => true,
        (error: Error) => (expect(error.message).toBe("stopped"), false),
      );
      vi.restoreAllMocks();
      if (device.memory.used !== used) wrong.push(`place ${places}: ${device.memory.used - used} bytes left`);
      if (!ended && !same(await latentsOf(on, options), good)) wrong.push(`place ${places}: other bits afterwards`);
    }
    expect(wrong).toEqual([]);
    expect(places).toBeGreaterThan(4);
  });
});

const same = (a: Float32Array, b: Float32Array) =>
  Buffer.compare(new Uint8Array(a.buffer), new Uint8Array(b.buffer)) === 0;

it("spoils nothing of a model that was just loaded, some of whose weights the first run brings to the device", async () => {
  const [model, control] = [await storedAsF32("tiny-a"), await storedAsF32("tiny-a-controlnet")];
  /** The latents of the second run on a new model whose first was stopped. */
  const after = async (place: number) => {
    using fresh = (await loadPipeline(device, { model, precision: "f32" })).pipeline;
    using network = await loadControl(device, control, { precision: "f32" });
    const run = { ...RUN, controls: [{ network, frames: picture }] };
    stopAt(place);
    await expect(latentsOf(fresh, run)).rejects.toThrow("stopped");
    vi.restoreAllMocks();
    return await latentsOf(fresh, run);
  };
  const good = await latentsOf(pipeline, { ...RUN, controls: [{ network: controlnet, frames: picture }] });
  const wrong: number[] = [];
  for (let place = 1; place <= 7; place++) if (!same(await after(place), good)) wrong.push(place);
  expect(wrong).toEqual([]);
});

it("does no harm to a run that goes on beside it and relies on weights that it had begun to bring", async () => {
  const good = await latentsOf(pipeline, RUN);
  const { used } = device.memory;
  stopAt(1);
  const [stopped, beside] = await Promise.allSettled([
    latentsOf(pipeline, { ...RUN, seed: 5 }),
    latentsOf(pipeline, RUN),
  ]);
  expect(stopped).toMatchObject({ status: "rejected", reason: { message: "stopped" } });
  expect(beside.status === "fulfilled" && same(beside.value, good)).toBe(true);
  expect(device.memory.used).toBe(used);
});

it.each([3, 20, 60, 120, 200])("spoils nothing of a model that is loaded beside it, at tensor %i", async (place) => {
  const good = await latentsOf(pipeline, RUN);
  let tensors = 0;
  let failed: Promise<unknown> = Promise.resolve();
  const loaded = await loadPipeline(device, {
    model: await openFolder(fixturePath("tiny-a")),
    precision: "f32",
    onProgress: () => {
      if (++tensors !== place) return;
      // Work of somebody else, which is given up as soon as it is begun.
      const stop = AbortSignal.abort(new Error("stopped"));
      failed = expect(device.drain(stop)).rejects.toThrow("stopped");
    },
  });
  using fresh = loaded.pipeline;
  await failed;
  expect(tensors).toBeGreaterThan(place);
  expect(same(await latentsOf(fresh, RUN), good)).toBe(true);
});

it("has a preview that failed made again", async () => {
  const whole = await latentsOf(other, RUN);
  const { used } = device.memory;
  let size: number | undefined;
  for await (const e of other.generate(RUN)) {
    if (e.type === "frames") expect(same(e.latents, whole)).toBe(true);
    if (e.type !== "step") continue;
    stopAt(2); // the first brings the latents
    await expect(e.preview()).rejects.toThrow("stopped");
    vi.restoreAllMocks();
    size = new Set((await e.preview()).rgba).size;
  }
  expect(size).toBeGreaterThan(2);
  expect(device.memory.used).toBe(used);
});
