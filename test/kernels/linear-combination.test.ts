import { expect, it } from "vitest";
import { linearCombination } from "../../kernels/linear-combination.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const N = 2051;
const values = (k: number) => Float32Array.from({ length: N }, (_, i) => Math.sin(i * 1.7 + k));

it.each([1, 2, 3, 4, 5, 6])("sums %i weighted tensors, in slices too", async (count) => {
  const device = await testDevice();
  const coefficients = [0.5, -2, 3.25, 0.125, -1, 7].slice(0, count);
  using y = device.scope(() => {
    const terms = coefficients.map((c, k) => [Tensor.from(device, values(k), [N]), c] as const);
    return withLimits(device, { maxBinding: 4096 }, () => linearCombination(terms));
  });
  const expected = Array.from({ length: N }, (_, i) => coefficients.reduce((s, c, k) => s + c * values(k)[i]!, 0));
  expectClose(await y.read(), expected, 1e-6);
});

it("refuses other numbers of terms, other types, other shapes", async () => {
  const device = await testDevice();
  using a = Tensor.from(device, [1, 2], [2], "f32", "a");
  using b = Tensor.from(device, [1, 2], [1, 2], "f32", "b");
  using half = Tensor.from(device, [1, 2], [2], "f16", "half");
  expect(() => linearCombination([])).toThrow("expected 1 to 6 terms, got 0");
  expect(() =>
    linearCombination([
      [a, 1],
      [b, 1],
    ]),
  ).toThrow('f32[1, 2] "b" does not match f32[2] "a"');
  expect(() =>
    linearCombination([
      [a, 1],
      [half, 1],
    ]),
  ).toThrow('f16[2] "half" does not match');
});
