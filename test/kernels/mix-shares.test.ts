import { describe, expect, it } from "vitest";
import { mixShares } from "../../kernels/mix-shares.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * k));

/** The definition; `k` rows of shares, n entries of a, m of b. */
function mixed(va: Float32Array, vb: Float32Array, shares: Float32Array, row: number): Float32Array {
  const start = va.length - vb.length;
  return va.map((v, i) => {
    if (i < start) return v;
    const t = shares[Math.floor((i - start) / row) % shares.length]!;
    return v + t * (vb[i - start]! - v);
  });
}

describe("mixShares", () => {
  // 3 channels: single elements; 4: units of four.
  for (const c of [3, 4])
    for (const dtype of ["f32", "f16"] as const)
      it.each([
        [6, 1],
        [6, 6],
        [3, 3],
        [2, 1],
      ] as const)(
        `blends ${dtype} of ${c} channels into the last %i of 6 entries by %i rows of shares`,
        async (m, k) => {
          const device = await testDevice();
          const [va, vb] = [wave(6 * 5 * c, 0.7), wave(m * 5 * c, 0.3)];
          const share = wave(k * 5, 1.3).map(Math.abs);
          using a = Tensor.from(device, va, [6, 5, c], dtype);
          using b = Tensor.from(device, vb, [m, 5, c], dtype);
          using shares = Tensor.from(device, share, [k, 5]);
          using y = mixShares(a, b, shares);
          expectClose(await y.read(), mixed(va, vb, share, c), dtype === "f32" ? 2e-6 : F16_TOLERANCE);
        },
      );

  it("works in slices", async () => {
    const device = await testDevice();
    const [va, vb, share] = [wave(2400, 0.7), wave(1200, 0.3), wave(100, 1.3)];
    using a = Tensor.from(device, va, [2, 100, 12]);
    using b = Tensor.from(device, vb, [1, 100, 12]);
    using shares = Tensor.from(device, share, [1, 100]);
    using y = withLimits(device, { maxBinding: 2048 }, () => mixShares(a, b, shares));
    expectClose(await y.read(), mixed(va, vb, share, 12), 2e-6);
  });

  it("names what does not fit", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, wave(24, 1), [2, 4, 3], "f32", "text");
    using b = Tensor.from(device, wave(12, 1), [1, 4, 3], "f32", "region");
    using half = Tensor.from(device, wave(12, 1), [1, 4, 3], "f16", "half");
    using shares = Tensor.from(device, wave(3, 1), [1, 3], "f32", "shares");
    expect(() => mixShares(b, a, shares)).toThrow('mixShares: f32[2, 4, 3] "text" does not fit f32[1, 4, 3] "region"');
    expect(() => mixShares(a, half, shares)).toThrow('f16[1, 4, 3] "half" does not fit');
    expect(() => mixShares(a, b, shares)).toThrow('f32[1, 3] "shares" does not fit f32[1, 4, 3] "region"');
  });
});
