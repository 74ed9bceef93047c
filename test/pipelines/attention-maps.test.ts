// A word's attention against the softmax weights in diffusers' UNet (test/reference/attention_maps.py).

import { afterAll, beforeAll, expect, it } from "vitest";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { expectClose } from "../support/allclose.js";
import { last } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  fixture = await Fixture.open("attention-maps.safetensors");
  const model = await openFolder(fixturePath("tiny-a"));
  ({ pipeline } = await loadPipeline(await testDevice(), { model, precision: "f32" }));
});
afterAll(() => pipeline.dispose());

it.each(["plain", "guided"])("is the mean of diffusers' softmax weights: %s", async (name) => {
  const { word, ...c } = fixture.json<Record<string, GenerateOptions & { readonly word: string }>>("cases")[name]!;
  const [steps = 0, frames, h, w] = fixture.shape(name);
  const expected = await fixture.values(name);
  const size = expected.length / steps;
  let done = 0;
  for await (const event of pipeline.generate({ ...c, attentionTo: word })) {
    if (event.type !== "step") continue;
    const map = await event.attention!();
    expect([map.count, map.height, map.width]).toEqual([frames, h, w]);
    // Latents are within 1e-4 of diffusers'.
    expectClose(map.values, expected.slice(done * size, ++done * size), 1e-4);
  }
  expect(done).toBe(steps);
});

it("changes nothing of the clip, and costs nothing where it is not asked for", async () => {
  const options = { prompt: "a red circle moving to the left", frames: 5, width: 32, height: 24, steps: 2 };
  const { device } = pipeline.parts;
  const dispatches = async (more: Partial<GenerateOptions>) => {
    device.resetCounts();
    const { latents } = await last(pipeline.generate({ ...options, ...more }));
    return { latents, count: device.counts.dispatches };
  };
  const without = await dispatches({});
  const used = device.memory.used;
  const reading = await dispatches({ attentionTo: "circle" });
  expect(reading.latents).toEqual(without.latents);
  expect(reading.count).toBeGreaterThan(without.count);
  expect((await dispatches({})).count).toBe(without.count);
  expect(device.memory.used).toBe(used);
});

it("names the word that is not there, and what it does not go with", async () => {
  const options = { prompt: "a red circle", frames: 5, width: 32, height: 24, steps: 2 };
  await expect(last(pipeline.generate({ ...options, attentionTo: "square" }))).rejects.toThrow(
    'the prompt does not have the word "square"',
  );
  const windows = { long: "window", context: 4, stride: 2 } as const;
  await expect(last(pipeline.generate({ ...options, ...windows, attentionTo: "red" }))).rejects.toThrow(
    "evaluated as a whole",
  );
});
