// Prompts that are encoded once for many clips: the same bits, less work, nothing left behind.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline, FramesEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

let device: Device;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  const model = await openFolder(fixturePath("tiny-a"));
  ({ pipeline } = await loadPipeline(device, { model, precision: "f32" }));
});
afterAll(() => pipeline.dispose());

const RUN: GenerateOptions = {
  prompt: "a red circle",
  guidance: 2,
  negative: "bad",
  steps: 1,
  frames: 1,
  width: 16,
  height: 16,
};

/** The latents of a run and how many dispatches it took. */
async function run(change: Partial<GenerateOptions> = {}): Promise<{ latents: Float32Array; dispatches: number }> {
  device.resetCounts();
  let last: FramesEvent | undefined;
  for await (const e of pipeline.generate({ ...RUN, ...change })) if (e.type === "frames") last = e;
  return { latents: last!.latents, dispatches: device.counts.dispatches };
}

describe("kept texts", () => {
  it("give the same bits with less work, and are told apart by all they depend on", async () => {
    const { used } = device.memory;
    const plain = await run();
    const other = await run({ clipSkip: 1 });
    pipeline.keepTexts(4);
    const first = await run();
    const second = await run();
    const skipped = await run({ clipSkip: 1 });
    expect(first).toEqual(plain);
    expect(second.latents).toEqual(plain.latents);
    expect(second.dispatches).toBeLessThan(plain.dispatches - 10); // two encodings
    expect(skipped.latents).toEqual(other.latents);
    expect(skipped.latents).not.toEqual(plain.latents);
    expect(device.memory.used).toBeGreaterThan(used);
    pipeline.keepTexts(0);
    expect((await run()).dispatches).toBe(plain.dispatches);
    expect(device.memory.used).toBe(used);
  });

  it.each([0, 4])("are not kept of a run that was stopped, and the next run is whole, keeping %i", async (count) => {
    const plain = await run({ prompt: "new" });
    const { used } = device.memory;
    pipeline.keepTexts(count);
    await expect(run({ prompt: "new", signal: AbortSignal.abort(new Error("stop")) })).rejects.toThrow("stop");
    expect(device.memory.used).toBe(used);
    for (const _ of [1, 2]) expect((await run({ prompt: "new" })).latents).toEqual(plain.latents);
    pipeline.keepTexts(0);
    expect(device.memory.used).toBe(used);
  });
});
