import { expect, it } from "vitest";
import { dora } from "../../kernels/dora.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

it.each([
  ["output", [5, 7]],
  ["input", [5, 7]],
  ["output", [6, 5, 3, 3]],
  ["input", [6, 5, 3, 3]],
] as const)("scales to stored lengths per %s, %j", async (per, shape) => {
  const device = await testDevice();
  const [out, inputs] = shape;
  const size = shape.reduce((n: number, s) => n * s, 1);
  const space = size / out / inputs;
  const slots = per === "output" ? out : inputs;
  const slot = (i: number) => (per === "output" ? Math.floor((i / size) * out) : Math.floor(i / space) % inputs);
  const v = Float32Array.from({ length: size }, (_, i) => (slot(i) === 2 ? 0 : Math.sin(i * 1.3) * 3));
  const base = Float32Array.from({ length: size }, (_, i) => Math.cos(i));
  const magnitude = Float32Array.from({ length: slots }, (_, i) => i - 1.5);
  const squares = new Float64Array(slots);
  v.forEach((x, i) => (squares[slot(i)]! += x * x));
  const expected = [...v].map(
    (x, i) => (x === 0 ? 0 : (magnitude[slot(i)]! * x) / Math.sqrt(squares[slot(i)]!)) - base[i]!,
  );
  using y = device.scope(() => {
    const [a, b] = [Tensor.from(device, v, shape), Tensor.from(device, base, shape)];
    const m = Tensor.from(device, magnitude, [slots]);
    return withLimits(device, { maxWorkgroups: 4 }, () => dora(a, m, b, per));
  });
  expectClose(await y.read(), expected, 2e-6);
});

it("names what does not fit", async () => {
  const device = await testDevice();
  using w = Tensor.from(device, [1, 2, 3, 4, 5, 6], [3, 2]);
  using m = Tensor.from(device, [1, 2], [2], "f32", "m");
  using half = Tensor.from(device, [1, 2], [2], "f16", "half");
  expect(() => dora(w, m, w, "output")).toThrow("dora: expected 3 magnitudes and a base [3, 2]");
  expect(() => dora(w, half, w, "input")).toThrow('f16[2] "half" must be f32');
});
