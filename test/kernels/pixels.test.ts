import { describe, expect, it } from "vitest";
import { fromPixels, toPixels } from "../../kernels/pixels.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

describe("pixels", () => {
  it("rounds halves to even and clamps, as numpy does", async () => {
    const device = await testDevice();
    // (k + 0.5) / 255 · 2 - 1 that f32 represents exactly after · 255: 0.5 → 127.5 → 128 and so on
    const x = [0, -1, 1, -7, 7, -0.5, 0.5, 0.25, -0.25, 1 / 3, -1 / 3, 0.999, 0.1, 0.2, 0.3];
    const expected = x.map((v) => {
      const scaled = Math.fround(Math.min(1, Math.max(0, Math.fround(Math.fround(v) / 2 + 0.5))) * 255);
      const floor = Math.floor(scaled);
      return scaled - floor === 0.5 ? floor + (floor % 2) : Math.round(scaled);
    });
    using t = Tensor.from(device, x, [1, 1, 5, 3]);
    using y = toPixels(t);
    const bytes = new Uint8Array((await y.readU32()).buffer);
    expect(bytes[3]).toBe(255);
    expect([...bytes].filter((_, i) => i % 4 !== 3)).toEqual(expected);
    expect(expected[0]).toBe(128);
  });

  it.each(["f32", "f16"] as const)("comes back from 8 bits unchanged, in slices too: %s", async (dtype) => {
    const device = await testDevice();
    const words = Uint32Array.from(
      { length: 2 * 19 * 23 },
      (_, i) => (Math.imul(i + 1, 2654435761) | 0xff000000) >>> 0,
    );
    using pixels = Tensor.from(device, words, [2, 19, 23], "u32");
    using x = withLimits(device, { maxBinding: 4096 }, () => fromPixels(pixels, dtype));
    using y = withLimits(device, { maxBinding: 4096 }, () => toPixels(x));
    expect([x.shape, x.dtype]).toEqual([[2, 19, 23, 3], dtype]);
    const first = await x.read();
    for (let c = 0; c < 3; c++)
      expect(first[c]).toBeCloseTo((((words[0]! >>> (8 * c)) & 255) / 255) * 2 - 1, dtype === "f32" ? 6 : 3);
    expect(await y.readU32()).toEqual(words);
  });

  it("names what it cannot take", async () => {
    const device = await testDevice();
    using t = Tensor.from(device, [1, 2, 3, 4], [1, 1, 1, 4], "f32", "t");
    expect(() => toPixels(t)).toThrow('toPixels: expected 3 channels, got f32[1, 1, 1, 4] "t"');
    expect(() => fromPixels(t.reshape([1, 2, 2]), "f32")).toThrow("fromPixels: pixels must be u32");
  });
});
