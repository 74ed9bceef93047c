// Packing on the host makes the words that the shader makes (which gemm's own tests hold to PyTorch).

import { beforeAll, describe, expect, it } from "vitest";
import { packGemm, packOnHost } from "../../kernels/gemm-pack.js";
import type { Device } from "../../src/gpu/device.js";
import { bytesPerElement, encode } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

let device: Device;
beforeAll(async () => {
  device = await testDevice();
});

/** Values that are all different bits, as f16 too: zeros, subnormals, infinities and (but for the last) no NaN. */
function bytesOf(shape: readonly number[], dtype: "f32" | "f16", seed: number): Uint8Array {
  const values = Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => ((i * 37 + seed) % 2039) - 1019);
  values[0] = -0;
  values[1] = 6e-8;
  values[2] = Infinity;
  return encode(
    values.map((v) => v / 64),
    dtype,
  );
}

describe("packGemm", () => {
  it.each<[string, readonly (readonly number[])[], boolean]>([
    ["a linear layer", [[40, 24]], false],
    ["sizes that fill neither panels nor octets", [[37, 13]], false],
    ["few outputs", [[4, 20]], false],
    ["GEGLU", [[48, 10]], true],
    [
      "q, k and v",
      [
        [20, 12],
        [20, 12],
        [20, 12],
      ],
      false,
    ],
    ["a convolution", [[33, 5, 3, 3]], false],
    ["a convolution of 1 × 1", [[16, 8, 1, 1]], false],
  ])("packs on the host as on the device: %s", async (_, shapes, geglu) => {
    for (const dtype of ["f16", "f32"] as const) {
      const data = shapes.map((shape, i) => bytesOf(shape, dtype, i * 7));
      const packed = async (raw: readonly Tensor[]) => {
        using y = packGemm(raw, dtype, geglu, "weight");
        for (const r of raw) r.dispose();
        return y.readBytes();
      };
      const onHost = data.map((d, i) => Tensor.fromBytes(device, d, shapes[i]!, dtype));
      const onDevice = data.map((d, i) => {
        const t = Tensor.empty(device, shapes[i]!, dtype);
        t.write(d);
        return t;
      });
      expect(onHost.map((t) => t.hostBytes?.byteLength)).toEqual(data.map((d) => d.byteLength));
      expect(Buffer.compare(await packed(onHost), await packed(onDevice))).toBe(0);
    }
  });

  it("reads values from anywhere in a buffer", () => {
    const shape = [1, 1, 8, 8];
    const of = { outputs: 8, inputs: 6, geglu: false, shape };
    for (const dtype of ["f16", "f32"] as const) {
      const data = bytesOf([8, 6], dtype, 3);
      const shifted = new Uint8Array(data.byteLength + 16);
      shifted.set(data, 2 * bytesPerElement(dtype));
      const view = shifted.subarray(2 * bytesPerElement(dtype), 2 * bytesPerElement(dtype) + data.byteLength);
      expect(packOnHost(view, dtype, of)).toEqual(packOnHost(data, dtype, of));
    }
  });
});

describe("a tensor whose bytes are on the host", () => {
  it("brings them to the device when that first wants them, through any view", async () => {
    const data = bytesOf([4, 4], "f32", 1);
    using x = Tensor.fromBytes(device, data, [4, 4], "f32", "x");
    using row = x.reshape([16]);
    expect(row.hostBytes).toBe(data);
    expect(Buffer.compare(await row.readBytes(), data)).toBe(0);
    expect(x.hostBytes).toBeUndefined();
  });
});
