import { describe, expect, it } from "vitest";
import { blendEdge } from "../../kernels/blend-edge.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

describe("blendEdge", () => {
  it.each(["vertical", "horizontal"] as const)("goes over from one tile to the next, %s", async (direction) => {
    const device = await testDevice();
    const vertical = direction === "vertical";
    const shape = vertical ? [2, 4, 3, 2] : [2, 3, 4, 2];
    using before = Tensor.from(device, new Float32Array(48).fill(8), shape);
    using tile = Tensor.from(device, new Float32Array(48).fill(0), shape);
    blendEdge(before, tile, direction, 4);
    const got = await tile.read();
    const [, h, w, c] = shape as [number, number, number, number];
    got.forEach((v, i) => {
      const k = vertical ? Math.floor(i / (w * c)) % h : Math.floor(i / c) % w;
      expect(v).toBe(8 * (1 - k / 4));
    });
  });

  it("takes the neighbour's last rows, as many as the shorter tile has", async () => {
    const device = await testDevice();
    using before = Tensor.from(device, [1, 2, 3, 4, 5], [1, 5, 1, 1]);
    using tile = Tensor.from(device, [10, 10], [1, 2, 1, 1]);
    blendEdge(before, tile, "vertical", 3);
    expect([...(await tile.read())]).toEqual([4, 7.5]); // 4 · 1 + 10 · 0, 5 · ½ + 10 · ½
  });

  it("refuses tiles without a common edge", async () => {
    const device = await testDevice();
    using a = Tensor.empty(device, [1, 4, 4, 3], "f32", "a");
    using b = Tensor.empty(device, [1, 4, 5, 3], "f32", "b");
    expect(() => blendEdge(a, b, "vertical", 2)).toThrow("have no common vertical edge");
  });
});
