import { expect, it } from "vitest";
import { timestepEmbedding } from "../../kernels/timestep-embedding.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";

const stored = fixture("kernels-norms");

it.each([
  ["flip", true, 0],
  ["plain", false, 1],
] as const)("agrees with diffusers: %s", async (name, flipSinToCos, downscaleFreqShift) => {
  const device = await testDevice();
  const { values, shape } = stored(`timestep.${name}`);
  using t = Tensor.from(device, stored("timestep.t").values, stored("timestep.t").shape);
  using y = timestepEmbedding(t, shape[1]!, { flipSinToCos, downscaleFreqShift, dtype: "f32" });
  expect(y.shape).toEqual(shape);
  const actual = await y.read();
  // Neighbouring f32 angles below 1000 are 6.1e-5 apart: where exp differs from torch's in its last bit, so does the result.
  expect(Math.max(...actual.map((v, i) => Math.abs(v - values[i]!)))).toBeLessThan(6.2e-5);
  const exact = actual.filter((v, i) => Math.abs(v - values[i]!) < 2e-6).length;
  expect(exact / actual.length).toBeGreaterThan(0.97);
  using half = timestepEmbedding(t, shape[1]!, { flipSinToCos, downscaleFreqShift, dtype: "f16" });
  expect(Math.max(...(await half.read()).map((v, i) => Math.abs(v - values[i]!)))).toBeLessThan(6e-4);
});

it("is exact to 2e-7 for angles of any size", async () => {
  const device = await testDevice();
  const angles = Float32Array.from({ length: 500 }, (_, i) => i * 2.0008 + i / 7919);
  using t = Tensor.from(device, angles, [500]);
  using y = timestepEmbedding(t, 2, { flipSinToCos: true, downscaleFreqShift: 0, dtype: "f32" }); // frequency 1
  const worst = (await y.read()).map((v, i) => Math.abs(v - (i % 2 === 0 ? Math.cos : Math.sin)(angles[i >> 1]!)));
  expect(Math.max(...worst)).toBeLessThan(2e-7);
});

it("refuses an odd dimension", async () => {
  const device = await testDevice();
  using t = Tensor.from(device, [1], [1]);
  expect(() => timestepEmbedding(t, 5, { flipSinToCos: true, downscaleFreqShift: 0, dtype: "f32" })).toThrow(
    "must be even, got 5",
  );
});
