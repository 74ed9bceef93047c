// Clips that are longer than a part: layers that see single frames take some at a time, to the same values.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { windowsAt, windowStarts, type Window } from "../../src/models/unet/frame-windows.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { SD15_ANIMATELCM } from "../../src/pipelines/build.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import { planRun, type Plan } from "../../src/pipelines/plan.js";
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

it("layers attend to pictures and regions in parts as they do at once, and what waits on the host comes back", async () => {
  const { unet } = pipeline.parts;
  const noise = new TorchGenerator(7);
  const made = device.hold(() => {
    const random = (shape: number[], name: string) =>
      Tensor.from(device, noise.randn(shape.reduce((n, d) => n * d, 1)), shape, "f32", name);
    const x = random([CLIPS * FRAMES, 4, 4, 4], "x");
    const text = unet.prepareText(random([CLIPS, 5, unet.config.crossAttentionDim], "text"));
    const time = unet.timeEmbeddings(device, [500], "f32");
    const pictures = new Map(
      unet.crossAttentions.map((l) => [l, { keyValues: random([CLIPS, 3, 2 * l.inner], "pictures"), scale: 0.7 }]),
    );
    // Under guidance regions are in the conditional half alone; one moves from frame to frame, one stands.
    const region = (entries: number) => {
      const shares = new Map([16, 4, 1].map((n) => [n, random([entries, n], "shares")] as const));
      const more = (inner: number) => ({ keyValues: random([1, 4, 2 * inner], "region"), shares, frames: FRAMES });
      return { attention: new Map(unet.crossAttentions.map((l) => [l, more(l.inner)])) };
    };
    const additions = [{ attention: pictures }, region(FRAMES), region(1)];
    const run = (windows?: readonly Window[], parked = false) => {
      const clip = { frames: FRAMES, norm: "joint", parked, ...(windows && { windows }) } as const;
      return unet.forward(x, { time, text, additions, clip });
    };
    return [run(), run([whole]), run([whole], true)] as const;
  });
  const [atOnce, inParts, parked] = await Promise.all(made.result.map((t) => t.read()));
  expect(relativeL2(inParts!, atOnce!)).toBeLessThan(1e-5);
  expect(parked).toEqual(inParts);
  made.dispose();
});

it("frames that wait on the host come back as they went", async () => {
  const { unet } = pipeline.parts;
  const frames = 37;
  const windows = windowsAt(windowStarts(frames, 8, 3), 8, frames);
  const noise = new TorchGenerator(6);
  const made = device.hold(() => {
    const random = (shape: number[], name: string) =>
      Tensor.from(device, noise.randn(shape.reduce((n, d) => n * d, 1)), shape, "f32", name);
    const x = random([CLIPS * frames, 6, 10, 4], "x"); // odd sizes below
    const text = unet.prepareText(random([CLIPS, 5, unet.config.crossAttentionDim], "text"));
    const time = unet.timeEmbeddings(device, [500], "f32");
    const run = (parked: boolean) => unet.forward(x, { time, text, clip: { frames, norm: "joint", windows, parked } });
    const before = device.counts.hostBytes;
    const atHand = run(false);
    expect(device.counts.hostBytes).toBe(before);
    const parked = run(true);
    expect(device.counts.hostBytes).toBeGreaterThan(before);
    return [atHand, parked] as const;
  });
  const [atHand, parked] = await Promise.all(made.result.map((t) => t.readBytes()));
  expect(Buffer.compare(parked!, atHand!)).toBe(0);
  made.dispose();
});

describe("FreeNoise at full size", () => {
  const plan = (frames: number, long: "none" | "free-noise", promptAt: Record<number, string> = {}) =>
    planRun(SD15_ANIMATELCM, { prompt: "", width: 512, height: 512, frames, long, promptAt });
  const denoising = (p: Plan) => p.stages.find((s) => s.name === "denoise")!;

  it("takes no more than the skips and a map of each frame while it is short", () => {
    const [short, long] = [plan(32, "free-noise"), plan(64, "free-noise")];
    expect((denoising(long).peakBytes - denoising(short).peakBytes) / 32).toBeLessThan(21e6);
    expect(long.hostBytes).toBe(0);
  });

  it("takes less than 1.3 times as much for 256 frames as for 16, each with its own text", () => {
    const long = plan(256, "free-noise", { 255: "" });
    expect(long.peakBytes / plan(16, "none").peakBytes).toBeLessThan(1.3);
    expect(long.hostBytes / 256).toBeLessThan(18e6);
  });
});
