import { expect, it } from "vitest";
import { avgPool2d } from "../../kernels/avg-pool.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-norms");

it.each(["even", "odd", "one"])("agrees with torch on padded pictures: %s", async (name) => {
  const device = await testDevice();
  const { values, shape } = stored(`pool.${name}.x`);
  for (const dtype of ["f32", "f16"] as const) {
    using x = Tensor.from(device, values, shape, dtype);
    using y = avgPool2d(x);
    expect(y.shape).toEqual(stored(`pool.${name}.y`).shape);
    expectClose(await y.read(), stored(`pool.${name}.y`).values, dtype === "f32" ? 2e-6 : F16_TOLERANCE);
  }
});

it("takes frames one after the other where they exceed a binding", async () => {
  const device = await testDevice();
  using x = Tensor.from(
    device,
    Float32Array.from({ length: 7 * 5 * 3 * 3 }, (_, i) => i % 31),
    [7, 5, 3, 3],
  );
  using whole = avgPool2d(x);
  using parts = withLimits(device, { maxBinding: 512 }, () => avgPool2d(x));
  expect(await parts.read()).toEqual(await whole.read());
  expect(() => withLimits(device, { maxBinding: 300 }, () => avgPool2d(x))).toThrow(
    "exceeds this adapter's largest binding",
  );
});
