import { describe, expect, it } from "vitest";
import { matmul } from "../../kernels/matmul.js";
import { fromHalfBits, toHalfBits } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";

const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * 1.5);

describe("matmul", () => {
  it.each([
    ["f32", undefined],
    ["f16", undefined],
    ["f32", "plain"],
    ["f16", "plain"],
  ] as const)("equals the sum of products, %s, variant %s", async (dtype, variant) => {
    const device = await testDevice();
    const [m, k, n] = [13, 37, 21];
    const stored = (v: Float32Array) => (dtype === "f32" ? v : v.map((x) => fromHalfBits(toHalfBits(x))));
    const [a, b] = [stored(values(m * k)), stored(values(k * n).reverse())];
    const expected = new Float32Array(m * n);
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let s = 0;
        for (let q = 0; q < k; q++) s += a[i * k + q]! * b[q * n + j]!;
        expected[i * n + j] = s;
      }
    using x = Tensor.from(device, a, [m, k], dtype, "a");
    using w = Tensor.from(device, b, [k, n], dtype, "b");
    using y = matmul(x, w, "matmul", variant);
    expectClose(await y.read(), expected, dtype === "f32" ? f32Tolerance(k) : F16_TOLERANCE);
  });

  it("names both operands where they do not fit", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, values(6), [2, 3], "f32", "a");
    using b = Tensor.from(device, values(8), [4, 2], "f32", "b");
    expect(() => matmul(a, b)).toThrow('matmul: f32[2, 3] "a" does not match f32[4, 2] "b"');
  });
});
