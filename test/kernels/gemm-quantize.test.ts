import { describe, expect, it } from "vitest";
import { packGemm } from "../../kernels/gemm-pack.js";
import { quantizeGemm } from "../../kernels/gemm-quantize.js";
import { fromHalfBits, toHalfBits } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { testDevice } from "../support/device.js";

describe("quantizeGemm", () => {
  it("codes each group of 64 inputs of a column by its own scale", async () => {
    const device = await testDevice();
    // 40 outputs: two panels; 72 inputs: a whole group and the rest of one
    const values = new TorchGenerator(1).randn(40 * 72).map((v) => fromHalfBits(toHalfBits(v)));
    values.fill(0, 3 * 72, 3 * 72 + 64); // a group of nothing but zeros
    for (let i = 5 * 72; i < 6 * 72; i++) values[i] = fromHalfBits(toHalfBits(values[i]! / 512)); // scales below 2^-14
    const { codes, scales } = device.scope(() =>
      quantizeGemm(packGemm([Tensor.from(device, values, [40, 72], "f16")], "f16", false, "w")),
    );
    expect([codes.shape, scales.shape]).toEqual([
      [2, 18, 32],
      [2, 2, 32],
    ]);
    const [words, scale] = [await codes.readU32(), await scales.read()];
    for (let n = 0; n < 40; n++)
      for (let group = 0; group < 2; group++) {
        const own = values.subarray(n * 72 + group * 64, n * 72 + Math.min(72, group * 64 + 64));
        const most = own.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
        const s = scale[(Math.floor(n / 32) * 2 + group) * 32 + (n % 32)]!;
        expect(Math.abs(s - most / 127)).toBeLessThanOrEqual(Math.max(most / 127 / 2048, 2 ** -25));
        own.forEach((v, i) => {
          const k = group * 64 + i;
          const word = words[(Math.floor(n / 32) * 18 + Math.floor(k / 4)) * 32 + (n % 32)]!;
          const code = (word << (24 - 8 * (k % 4))) >> 24;
          // half a step, and 127 · 2^-12 for software adapters, which divide by a reciprocal of 12 bits
          expect(Math.abs(code * s - v)).toBeLessThanOrEqual(s * 0.532);
          expect(Math.abs(code)).toBeLessThanOrEqual(127);
        });
      }
    for (const t of [codes, scales]) t.dispose();
  });

  it("refuses weights that are not packed as f16", async () => {
    const device = await testDevice();
    using w = Tensor.empty(device, [1, 1, 8, 8], "f32", "w");
    expect(() => quantizeGemm(w)).toThrow('expected packed weights in f16, got f32[1, 1, 8, 8] "w"');
  });
});
