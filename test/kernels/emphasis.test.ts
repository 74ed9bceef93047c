import { describe, expect, it } from "vitest";
import { emphasis, type Emphasis } from "../../kernels/emphasis.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const [CHUNKS, TOKENS] = [2, 7];
const value = (k: number) => 0.4 + Math.sin(k * 1.7);
const weightOf = (k: number) => [1, 1.5, -0.25, 0][k % 4]!;

/** The formulas, in f64. */
function expected(z: Float64Array, e: Float64Array, channels: number, mode: Emphasis): Float64Array {
  const size = TOKENS * channels;
  return z.map((v, i) => {
    const chunk = Math.floor(i / size);
    const w = weightOf(Math.floor(i / channels));
    if (mode === "blend") return (v - e[i % size]!) * w + e[i % size]!;
    if (mode === "scale") return v * w;
    const part = z.subarray(chunk * size, (chunk + 1) * size);
    const sum = part.reduce((s, x) => s + x, 0);
    const after = part.reduce((s, x, k) => s + x * weightOf(Math.floor((chunk * size + k) / channels)), 0);
    return (v * w * sum) / after;
  });
}

describe.each(["f32", "f16"] as const)("emphasis, %s", (dtype) => {
  it.each(["scale", "mean", "blend"] as const)("%s follows its formula", async (mode) => {
    const device = await testDevice();
    for (const channels of dtype === "f16" ? [8] : [8, 5]) {
      const size = CHUNKS * TOKENS * channels;
      using z = Tensor.from(
        device,
        Float64Array.from({ length: size }, (_, k) => value(k)),
        [CHUNKS, TOKENS, channels],
        dtype,
      );
      using e = Tensor.from(
        device,
        Float64Array.from({ length: size / CHUNKS }, (_, k) => value(k + 0.5)),
        [1, TOKENS, channels],
        dtype,
      );
      using w = Tensor.from(
        device,
        Array.from({ length: CHUNKS * TOKENS }, (_, k) => weightOf(k)),
        [CHUNKS, TOKENS],
      );
      // The values as stored.
      const [stored, empty] = [Float64Array.from(await z.read()), Float64Array.from(await e.read())];
      for (const limits of mode === "scale" ? [{}, { f16: false }] : [{}]) {
        using y = withLimits(device, limits, () => emphasis(z, w, mode, mode === "blend" ? e : undefined));
        expect(y.dtype).toBe(dtype);
        expectClose(await y.read(), expected(stored, empty, channels, mode), dtype === "f32" ? 2e-6 : 1e-3);
      }
    }
  });
});

it("names what is missing or does not fit", async () => {
  const device = await testDevice();
  using z = Tensor.from(device, Array(8).fill(1), [1, 2, 4], "f32", "z");
  using w = Tensor.from(device, [1, 2, 3], [1, 3], "f32", "w");
  using fits = Tensor.from(device, [1, 2], [1, 2]);
  expect(() => emphasis(z, w, "scale")).toThrow("emphasis: weights");
  expect(() => emphasis(z, fits, "blend")).toThrow('"blend" wants the states of the empty prompt');
});
