import { describe, expect, it } from "vitest";
import { activate, add, cast } from "../../kernels/elementwise.js";
import { encode, fromHalfBits, toHalfBits } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-norms");

describe("activate", () => {
  it.each(["silu", "gelu", "gelu_tanh", "quick_gelu", "relu"] as const)("agrees with torch: %s", async (activation) => {
    const device = await testDevice();
    const { values, shape } = stored("activations.x");
    for (const dtype of ["f32", "f16"] as const) {
      using x = Tensor.from(device, values, shape, dtype);
      using y = activate(x, activation);
      expect(y.dtype).toBe(dtype);
      expectClose(await y.read(), stored(`activations.${activation}`).values, dtype === "f32" ? 2e-6 : F16_TOLERANCE);
    }
  });
});

describe("cast", () => {
  // Ties, the largest and smallest halves, subnormals, overflow, signed zero, infinities; an odd number of values.
  const values = [1, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 65504, 65519, 65520, 1e6, -1e6, 2 ** -14, 3 * 2 ** -24, 2 ** -25];
  values.push(1.5 * 2 ** -24, -0, 0, -1 / 3, 0.1, Infinity, -Infinity, NaN);

  it.each([true, false])("rounds f32 to f16 as the host does, with shader-f16: %s", async (f16) => {
    const device = await testDevice();
    using x = Tensor.from(device, values, [values.length]);
    using half = withLimits(device, { f16 }, () => cast(x, "f16"));
    using back = withLimits(device, { f16 }, () => cast(half, "f32"));
    const expected = values.map((v) => fromHalfBits(toHalfBits(v)));
    expect([...(await half.read())]).toEqual(expected);
    expect([...(await back.read())]).toEqual(expected);
  });

  it("is exact from f16 to f32, in slices too", async () => {
    const device = await testDevice();
    const numbers = Float32Array.from({ length: 5003 }, (_, i) => fromHalfBits((i * 13) % 0x7c00));
    using x = Tensor.from(device, numbers, [5003], "f16");
    using y = withLimits(device, { maxBinding: 4096 }, () => cast(x, "f32"));
    expect(encode(await y.read(), "f32")).toEqual(encode(numbers, "f32"));
  });
});

describe("add", () => {
  it("adds, and names tensors that do not match", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1, 2, 3, 4, 5], [5], "f32", "a");
    using b = Tensor.from(device, [10, 20, 30, 40, 50], [5], "f32", "b");
    using c = Tensor.from(device, [1, 2, 3, 4, 5], [5, 1], "f32", "c");
    using y = add(a, b);
    expect([...(await y.read())]).toEqual([11, 22, 33, 44, 55]);
    expect(() => add(a, c)).toThrow('add: f32[5] "a" does not match f32[5, 1] "c"');
  });
});
