import { expect, it } from "vitest";
import { countNonFinite } from "../../kernels/finite.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

it.each(["f32", "f16"] as const)("counts NaN and infinities and nothing else: %s", async (dtype) => {
  const device = await testDevice();
  const values = Float32Array.from({ length: 9999 }, (_, i) => Math.sin(i) * 60000);
  using good = Tensor.from(device, values, [9999], dtype);
  using none = countNonFinite(good);
  expect([...(await none.readU32())]).toEqual([0]);
  for (const i of [0, 1, 4097, 9997, 9998]) values[i] = [NaN, Infinity, -Infinity][i % 3]!;
  using bad = Tensor.from(device, values, [9999], dtype);
  using five = countNonFinite(bad);
  using sliced = withLimits(device, { maxBinding: 4096 }, () => countNonFinite(bad));
  expect([...(await five.readU32()), ...(await sliced.readU32())]).toEqual([5, 5]);
});

it("does not look beyond the last value", async () => {
  const device = await testDevice();
  using big = Tensor.from(device, [1, NaN, NaN, NaN], [4], "f16");
  using one = countNonFinite(big.slice(0, 1));
  expect([...(await one.readU32())]).toEqual([0]);
});
