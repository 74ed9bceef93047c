import { describe, expect, it } from "vitest";
import { guidance, permute } from "../../kernels/latents.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const values = (n: number) => Float32Array.from({ length: n }, (_, i) => (i % 997) / 64);

/** torch.permute, element by element. */
function reference(x: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const out = order.map((d) => shape[d]!);
  return x.map((_, i) => {
    const place = shape.map(() => 0);
    let left = i;
    for (let k = out.length - 1; k >= 0; k--) {
      place[order[k]!] = left % out[k]!;
      left = Math.floor(left / out[k]!);
    }
    return x[place.reduce((at, v, d) => at * shape[d]! + v, 0)]!;
  });
}

describe("permute", () => {
  it.each([
    [
      [1, 4, 3, 5, 7],
      [0, 2, 3, 4, 1],
    ],
    [
      [2, 3, 4, 5, 6],
      [4, 2, 0, 3, 1],
    ],
    [
      [3, 5, 7],
      [2, 0, 1],
    ],
    [
      [9, 11],
      [1, 0],
    ],
    [[13], [0]],
  ])("puts %j in the order %j", async (shape, order) => {
    const device = await testDevice();
    const x = values(shape.reduce((a, b) => a * b));
    using t = Tensor.from(device, x, shape);
    using y = permute(t, order);
    expect(y.shape).toEqual(order.map((d) => shape[d]));
    expect(await y.read()).toEqual(reference(x, shape, order));
  });

  it("scales, converts, and takes its first dimension in slices", async () => {
    const device = await testDevice();
    const shape = [9, 5, 4, 16];
    const x = values(9 * 320);
    using t = Tensor.from(device, x, shape);
    using y = withLimits(device, { maxBinding: 4096 }, () => permute(t, [0, 3, 1, 2], { scale: 0.5, dtype: "f16" }));
    expect(y.dtype).toBe("f16");
    expectClose(
      await y.read(),
      reference(x, shape, [0, 3, 1, 2]).map((v) => v / 2),
      1e-3,
    );
    expect(() => withLimits(device, { maxBinding: 4096 }, () => permute(t, [3, 0, 1, 2]))).toThrow(
      "permute it in parts",
    );
  });

  it("refuses what is no order", async () => {
    const device = await testDevice();
    using t = Tensor.from(device, values(6), [2, 3], "f32", "t");
    expect(() => permute(t, [0, 0])).toThrow('permute: [0, 0] is no order of the dimensions of f32[2, 3] "t"');
    expect(() => permute(t, [0])).toThrow("is no order");
  });
});

describe("guidance", () => {
  it.each([
    ["f32", [4, 3, 3, 4]],
    ["f16", [4, 3, 3, 4]],
    ["f32", [2, 3, 5, 1]],
  ] as ["f32" | "f16", number[]][])(
    "moves from the unconditional half towards and beyond the other: %s %j",
    async (dtype, shape) => {
      const device = await testDevice();
      const x = values(shape.reduce((a, b) => a * b));
      using eps = Tensor.from(device, x, shape, dtype);
      using y = guidance(eps, 1.75);
      const half = x.length / 2;
      expect([y.dtype, y.shape]).toEqual(["f32", [shape[0]! / 2, ...shape.slice(1)]]);
      expectClose(
        await y.read(),
        x.slice(0, half).map((u, i) => u + 1.75 * (x[half + i]! - u)),
        1e-6,
      );
    },
  );

  it("wants two halves", async () => {
    const device = await testDevice();
    using t = Tensor.from(device, values(6), [3, 2]);
    expect(() => guidance(t, 2)).toThrow("expected an unconditional and a conditional half, got f32[3, 2]");
  });
});
