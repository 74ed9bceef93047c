import { describe, expect, it } from "vitest";
import { packGemm, packMatrix } from "../../kernels/gemm-pack.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const count = (n: number, from = 1) => Float32Array.from({ length: n }, (_, i) => i + from);

describe("packGemm", () => {
  it("puts outputs into panels, inputs under each other by taps, zeros around", async () => {
    const device = await testDevice();
    const raw = Tensor.from(device, count(2 * 3 * 4), [2, 3, 2, 2]);
    using packed = device.scope(() => packGemm([raw], "f32", false, "w"));
    expect(packed.shape).toEqual([1, 4, 8, 8]);
    const values = await packed.read();
    const at = (tap: number, c: number, n: number) => values[(tap * 8 + c) * 8 + n];
    for (let tap = 0; tap < 4; tap++)
      for (let c = 0; c < 8; c++)
        for (let n = 0; n < 8; n++) expect(at(tap, c, n)).toBe(n < 2 && c < 3 ? (n * 3 + c) * 4 + tap + 1 : 0);
    raw.dispose();
  });

  it("joins weights and keeps pairs of inputs in one word as f16", async () => {
    const device = await testDevice();
    const raws = [count(20 * 2), count(13 * 2, 41)].map((v) => Tensor.from(device, v, [v.length / 2, 2], "f16"));
    using packed = device.scope(() => packGemm(raws, "f16", false, "w"));
    expect([packed.shape, packed.bytes]).toEqual([[2, 1, 8, 32], 2 * 8 * 32 * 2]);
    const values = await packed.read();
    for (let n = 0; n < 64; n++)
      for (let c = 0; c < 8; c++) {
        const i = ((Math.floor(n / 32) * 4 + Math.floor(c / 2)) * 32 + (n % 32)) * 2 + (c % 2);
        expect(values[i]).toBe(n < 33 && c < 2 ? n * 2 + c + 1 : 0);
      }
    for (const r of raws) r.dispose();
  });

  it("puts each value of GEGLU next to its gate", async () => {
    const device = await testDevice();
    const raw = Tensor.from(device, count(8), [8, 1]);
    using packed = device.scope(() => packGemm([raw], "f32", true, "w"));
    expect(Array.from((await packed.read()).slice(0, 8))).toEqual([1, 5, 2, 6, 3, 7, 4, 8]);
    raw.dispose();
  });

  it("takes a matrix by columns, in grids as small as need be", async () => {
    const device = await testDevice();
    const b = Tensor.from(device, count(9 * 5), [9, 5]);
    using packed = withLimits(device, { maxWorkgroups: 3 }, () => packMatrix(b, "b"));
    const values = await packed.read();
    expect(packed.shape).toEqual([1, 1, 16, 8]);
    for (let k = 0; k < 16; k++)
      for (let n = 0; n < 8; n++) expect(values[k * 8 + n]).toBe(k < 9 && n < 5 ? k * 5 + n + 1 : 0);
    b.dispose();
  });

  it("names weights that no binding can hold", async () => {
    const device = await testDevice();
    using raw = Tensor.from(device, count(64), [8, 8], "f32", "big.weight");
    expect(() => withLimits(device, { maxBinding: 128 }, () => packGemm([raw], "f32", false, "big"))).toThrow(
      'big: f32[8, 8] "big.weight" exceeds the adapter\'s largest binding of 128 bytes; load the weights as f16 (--weights f16)',
    );
  });
});
