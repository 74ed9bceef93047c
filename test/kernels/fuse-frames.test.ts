import { describe, expect, it } from "vitest";
import { fuseFrames, type FrameRun } from "../../kernels/fuse-frames.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const values = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * k));

/** The same, frame by frame. */
function reference(x: Float32Array, y: Float32Array, size: number, { from, to, weights, add }: FrameRun): void {
  for (const [i, w] of weights.entries())
    for (let k = 0; k < size; k++) {
      const at = (to + i) * size + k;
      y[at] = (add ? y[at]! : 0) + w * x[(from + i) * size + k]!;
    }
}

describe("fuseFrames", () => {
  it.each([
    ["f32", [2, 5, 4]],
    ["f16", [3, 3, 8]],
    ["f32", [3, 3, 1]],
  ] as ["f32" | "f16", number[]][])("overwrites and adds weighted frames: %s frames of %j", async (dtype, frame) => {
    const device = await testDevice();
    const size = frame.reduce((a, b) => a * b);
    const [x, y] = [values(70 * size, 0.7), values(90 * size, 1.3)];
    using window = Tensor.from(device, x, [70, ...frame], dtype);
    using clip = Tensor.from(device, y, [90, ...frame]);
    const runs: FrameRun[] = [
      { from: 3, to: 11, weights: Array.from({ length: 60 }, (_, i) => (i % 7) / 4), add: true }, // in two dispatches
      { from: 69, to: 0, weights: [-2], add: false },
      { from: 0, to: 89, weights: [0.5], add: false },
    ];
    const rounded = dtype === "f16" ? await window.read() : x;
    for (const run of runs) {
      fuseFrames(window, clip, run);
      reference(rounded, y, size, run);
    }
    expectClose(await clip.read(), y, 1e-6);
  });

  it("takes a clip beyond the largest binding in runs", async () => {
    const device = await testDevice();
    const [x, y] = [values(16 * 64, 0.7), values(16 * 64, 1.3)];
    using window = Tensor.from(device, x, [16, 64]);
    using clip = Tensor.from(device, y, [16, 64]);
    const run = { from: 1, to: 0, weights: Array.from({ length: 15 }, (_, i) => i), add: true };
    withLimits(device, { maxBinding: 2048 }, () => fuseFrames(window, clip, run));
    reference(x, y, 64, run);
    expectClose(await clip.read(), y, 1e-6);
  });

  it("refuses what does not fit", async () => {
    const device = await testDevice();
    using window = Tensor.from(device, values(8, 1), [4, 2], "f32", "window");
    using clip = Tensor.from(device, values(8, 1), [4, 2], "f32", "clip");
    using other = Tensor.from(device, values(8, 1), [2, 4], "f32", "other");
    const run = { from: 2, to: 0, weights: [1, 1, 1], add: false };
    expect(() => fuseFrames(window, clip, run)).toThrow("3 frames from 2 of");
    expect(() => fuseFrames(window, other, { ...run, from: 0 })).toThrow('does not go into f32[2, 4] "other"');
  });
});
