// Clips that are longer than a part: layers that see single frames take some at a time, to the same values.

import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import type { Window } from "../../src/models/unet/frame-windows.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { SD15_ANIMATELCM } from "../../src/pipelines/build.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { planRun } from "../../src/pipelines/plan.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

let device: Device;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  ({ pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" }));
});
afterAll(() => pipeline.dispose());

const FRAMES = 20;
const CLIPS = 2;
/** All frames in one window: the same as none, but taken as a long clip is. */
const whole: Window = {
  frames: Array.from({ length: FRAMES }, (_, i) => i),
  weights: Array.from({ length: FRAMES }, () => 1),
};

it.each([1, CLIPS, CLIPS * FRAMES])("a UNet gives the same in parts, with %d texts", async (texts) => {
  const { unet } = pipeline.parts;
  const noise = new TorchGenerator(5);
  const random = (shape: number[], name: string) =>
    Tensor.from(device, noise.randn(shape.reduce((n, d) => n * d, 1)), shape, "f32", name);
  const made = device.hold(() => {
    const x = random([CLIPS * FRAMES, 4, 4, 4], "x");
    const text = unet.prepareText(random([texts, 5, unet.config.crossAttentionDim], "text"));
    const time = unet.timeEmbeddings(device, [500], "f32");
    const run = (windows?: readonly Window[]) =>
      unet.forward(x, { time, text, clip: { frames: FRAMES, norm: "joint", ...(windows && { windows }) } });
    return [run(), run([whole])] as const;
  });
  const [atOnce, inParts] = made.result;
  expect(relativeL2(await inParts.read(), await atOnce.read())).toBeLessThan(1e-5);
  made.dispose();
});

it("FreeNoise at full size takes no more than the skips and a few maps of each frame", () => {
  const plan = (frames: number) =>
    planRun(
      SD15_ANIMATELCM,
      { prompt: "", width: 512, height: 512, frames, long: "free-noise" },
      { capabilities: { maxBuffer: 2 ** 33 } },
    );
  const [short, long] = [plan(32), plan(64)];
  expect((long.peakBytes - short.peakBytes) / 32).toBeLessThan(21e6);
});
