import { describe, expect, it } from "vitest";
import { copyRegion } from "../../kernels/copy-region.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

describe("copyRegion", () => {
  it("copies a rectangle of every frame and leaves the rest", async () => {
    const device = await testDevice();
    const [f, h, w, c] = [2, 40, 5, 3]; // frames of 2400 bytes: their rows begin at any offset
    const values = Float32Array.from({ length: f * h * w * c }, (_, i) => i + 1);
    using x = Tensor.from(device, values, [f, h, w, c]);
    using y = Tensor.from(device, new Float32Array(f * 50 * 7 * c).fill(-1), [f, 50, 7, c]);
    copyRegion(x, [36, 1], y, [45, 3], [4, 3]);
    const got = await y.read();
    for (let frame = 0; frame < f; frame++)
      for (let i = 0; i < 50; i++)
        for (let j = 0; j < 7; j++)
          for (let k = 0; k < c; k++) {
            const inside = i >= 45 && i < 49 && j >= 3 && j < 6;
            const expected = inside ? values[((frame * h + i - 9) * w + j - 2) * c + k] : -1;
            expect(got[((frame * 50 + i) * 7 + j) * c + k]).toBe(expected);
          }
  });

  it("refuses rectangles that leave a picture, and pictures that differ in kind", async () => {
    const device = await testDevice();
    using x = Tensor.empty(device, [1, 4, 4, 3], "f32", "x");
    using y = Tensor.empty(device, [1, 4, 4, 2], "f32", "y");
    expect(() => copyRegion(x, [2, 0], x, [0, 0], [3, 1])).toThrow("3 × 1 pixels at [2, 0]");
    expect(() => copyRegion(x, [0, 0], y, [0, 0], [1, 1])).toThrow("the same frames, channels and dtype");
  });
});
