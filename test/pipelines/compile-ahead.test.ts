// What a run needs of the GPU's compiler is known before the weights are: nothing is left to compile when they are there.

import { describe, expect, it } from "vitest";
import { openFolder } from "../../src/io/node-file.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { fixturePath } from "../support/fixtures.js";
import { nullDevice } from "../support/null-device.js";
import { framesOf } from "../support/pictures.js";

const RUN: GenerateOptions = { prompt: "a red circle", frames: 7, width: 16, height: 16, steps: 2 };

/** Loads tiny-a for `firstRun` and runs `run`: shaders compiled until it was loaded, and after. */
async function compiled(load: Partial<LoadOptions>, run: GenerateOptions): Promise<readonly [number, number]> {
  const { device } = await nullDevice();
  using _ = device;
  const { pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), ...load });
  while (load.firstRun && device.compiling > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const before = device.pipelineCount;
  await framesOf(pipeline.generate(run));
  return [before, device.pipelineCount];
}

describe("firstRun", () => {
  it.each<[string, GenerateOptions, Partial<LoadOptions>]>([
    ["text to video", RUN, {}],
    ["in f32", RUN, { precision: "f32" }],
    ["under guidance, euler", { ...RUN, guidance: 3, negative: "bad", scheduler: "euler" }, {}],
    ["context windows and prompt travel", { ...RUN, long: "window", context: 4, stride: 2, promptAt: { 3: "x" } }, {}],
    ["FreeNoise", { ...RUN, long: "free-noise", context: 4, stride: 2 }, {}],
    ["8-bit weights, streamed", RUN, { weights: "int8", lowMemory: true }],
  ])("has everything compiled that the run uses: %s", async (_, run, load) => {
    const [before, after] = await compiled({ ...load, firstRun: run }, run);
    expect(after).toBe(before);
  });

  it("is what does it, and harms nothing where the run cannot work", async () => {
    const [before, after] = await compiled({}, RUN);
    expect(before).toBeLessThan(after / 2);
    expect(await compiled({ firstRun: { ...RUN, frames: 1000 } }, RUN)).toEqual([before, after]);
  });
});
