import { describe, expect, it } from "vitest";
import { dequantizeGemm } from "../../kernels/gemm-dequantize.js";
import { packGemm } from "../../kernels/gemm-pack.js";
import { quantizeGemm } from "../../kernels/gemm-quantize.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { testDevice } from "../support/device.js";

describe("dequantizeGemm", () => {
  it.each([[[40, 72]], [[5, 3, 3, 3]], [[16, 130, 1, 1]]])(
    "gives weights %j back within half a step",
    async (shape) => {
      const device = await testDevice();
      const values = new TorchGenerator(2).randn(shape.reduce((n, d) => n * d));
      const [packed, back] = device.scope(() => {
        const w = packGemm([Tensor.from(device, values, shape)], "f16", false, "w");
        return [w, dequantizeGemm(quantizeGemm(w), w.shape)] as const;
      });
      const [a, b] = [await packed.read(), await back.read()];
      const most = a.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      let error = 0;
      a.forEach((v, i) => (error = Math.max(error, Math.abs(v - b[i]!))));
      // half a scale of the group with the largest weight, and rounding to f16
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThanOrEqual((most / 127) * 0.532 + most / 2048);
      for (const t of [packed, back]) t.dispose();
    },
  );

  it("refuses codes of other weights", async () => {
    const device = await testDevice();
    using codes = Tensor.empty(device, [1, 2, 8], "u32", "codes");
    using scales = Tensor.empty(device, [1, 1, 8], "f16", "scales");
    expect(() => dequantizeGemm({ codes, scales }, [1, 1, 16, 8])).toThrow("no codes of weights [1, 1, 16, 8]");
  });
});
