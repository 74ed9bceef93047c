import { describe, expect, it } from "vitest";
import { addScaled } from "../../kernels/add-scaled.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * k));

describe("addScaled", () => {
  // 3 channels: single elements; 4: units of four, at offsets that no binding begins at.
  for (const c of [3, 4])
    for (const dtype of ["f32", "f16"] as const)
      it.each([
        ["every", 6],
        ["every", 3],
        ["last", 3],
        ["last", 2],
      ] as const)(`adds ${dtype} of ${c} channels to %s of %i entries`, async (to, m) => {
        const device = await testDevice();
        const [va, vb] = [wave(6 * 5 * c, 0.7), wave(m * 5 * c, 0.3)];
        using a = Tensor.from(device, va, [6, 5, c], dtype);
        using b = Tensor.from(device, vb, [m, 5, c], dtype);
        const start = to === "last" ? (6 - m) * 5 * c : 0;
        const expected = va.map((v, i) => (i < start ? v : v + 0.6 * vb[(i - start) % vb.length]!));
        using y = addScaled(a, b, 0.6, { to });
        expectClose(await y.read(), expected, dtype === "f32" ? 2e-6 : F16_TOLERANCE);
      });

  it("works in slices", async () => {
    const device = await testDevice();
    const [va, vb] = [wave(5000, 0.7), wave(2500, 0.3)];
    using a = Tensor.from(device, va, [2, 2500]);
    using b = Tensor.from(device, vb, [1, 2500]);
    using y = withLimits(device, { maxBinding: 4096 }, () => addScaled(a, b, -2));
    expectClose(
      await y.read(),
      va.map((v, i) => v - 2 * vb[i % 2500]!),
      2e-6,
    );
  });

  it("names what does not fit", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, wave(12, 1), [6, 2], "f32", "skip");
    using b = Tensor.from(device, wave(8, 1), [4, 2], "f32", "residual");
    using c = Tensor.from(device, wave(12, 1), [6, 2], "f16", "half");
    expect(() => addScaled(a, b, 1)).toThrow('addScaled: f32[4, 2] "residual" does not fit f32[6, 2] "skip"');
    expect(() => addScaled(a, c, 1)).toThrow('f16[6, 2] "half" does not fit');
  });
});
