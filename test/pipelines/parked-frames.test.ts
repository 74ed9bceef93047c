// FreeNoise clips whose frames wait on the host (more than 64): stopped or with the device lost in the middle of an
// evaluation, they leave nothing behind, and go on to the same bits.

import { expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { openNodeDevice } from "../../src/node-device.js";
import type { AnimateDiffPipeline, FramesEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { generateRecovering } from "../../src/pipelines/recovery.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";
import { framesOf } from "../support/pictures.js";

// The last part holds one frame, the last window is moved back; LCM draws fresh noise in each step.
const RUN: GenerateOptions = {
  prompt: "a red circle",
  frames: 65,
  width: 16,
  height: 16,
  steps: 2,
  long: "free-noise",
  context: 8,
  stride: 8,
};

async function load(device: Device): Promise<AnimateDiffPipeline> {
  return (await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" })).pipeline;
}

it("a run that is stopped ends at once, and the next one has the same bits as any", async () => {
  const device = await testDevice();
  using pipeline = await load(device);
  const parked = device.counts.hostBytes;
  const expected = await framesOf(pipeline.generate(RUN));
  expect(device.counts.hostBytes).toBeGreaterThan(parked);
  device.trim();
  const { used, reserved } = device.memory;

  const stop = new AbortController();
  let stopped = 0;
  await expect(async () => {
    for await (const e of pipeline.generate({ ...RUN, signal: stop.signal }))
      if (e.type === "step")
        setTimeout(() => {
          stopped = performance.now();
          stop.abort(new Error("enough"));
        }, 50);
  }).rejects.toThrow("enough");
  expect(performance.now() - stopped).toBeLessThan(200);
  const again = await framesOf(pipeline.generate(RUN));
  expect(again.latents).toEqual(expected.latents);
  device.trim();
  expect(device.memory).toMatchObject({ used, reserved });

  // The device is lost in the second step; what was parked on it goes with it.
  using fragile = await openNodeDevice();
  using first = await load(fragile);
  let frames: FramesEvent | undefined;
  const lostAfter: number[] = [];
  const events = generateRecovering(first, RUN, (_, done) => {
    lostAfter.push(done);
    return Promise.resolve({ pipeline });
  });
  for await (const e of events) {
    if (e.type === "frames") frames = e;
    else if (e.type === "step" && e.index === 0) setTimeout(() => fragile.lose(), 50);
  }
  expect(lostAfter).toEqual([1]);
  expect(frames!.latents).toEqual(expected.latents);
});
