import { describe, expect, it } from "vitest";
import { conv2d, packConv2d, type Conv2dOptions } from "../../kernels/conv2d.js";
import type { GemmVariant } from "../../kernels/gemm.js";
import type { ConvForm } from "../../kernels/winograd.js";
import { transformOnHost, transformWeight } from "../../kernels/winograd-weight.js";
import type { Device } from "../../src/gpu/device.js";
import { encode } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-gemm");
const put = (device: Device, name: string, dtype: "f32" | "f16" = "f32") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const same = { padding: [1, 1, 1, 1] } as const;
/** The PyTorch cases whose channels are multiples of 4: odd and even sizes, few and many outputs. */
const cases: Record<string, readonly [ConvForm, Conv2dOptions]> = {
  same: ["winograd", same],
  out: ["winograd", same],
  sixteen: ["winograd", same],
  deep: ["winograd", same],
  up: ["doubled", { ...same, upsampleTo: [6, 8] }],
  up_odd: ["doubled", { ...same, upsampleTo: [5, 7] }],
};
/** Products in their variants; all cases by one of them, a few by the others. */
const combinations: readonly (readonly [GemmVariant, "f32" | "f16", readonly string[]])[] = [
  ["cpu", "f32", Object.keys(cases)],
  ["cpu", "f16", ["same", "up_odd", "deep"]],
  ["plain", "f32", ["same", "up_odd"]],
  ["block", "f32", ["same", "up_odd"]],
  ["gpu", "f32", ["same", "up_odd"]],
  ["gpu", "f16", ["deep"]],
];

describe.each(combinations)("winograd, products by %s, %s", (variant, dtype, names) => {
  it.each(names)("agrees with torch: %s", async (name) => {
    const device = await testDevice();
    const [form, options] = cases[name]!;
    const [w, bias] = [put(device, `conv_${name}.w`), put(device, `conv_${name}.b`)];
    const expected = stored(`conv_${name}.y`);
    using y = device.scope(() =>
      conv2d(put(device, `conv_${name}.x`, dtype), packConv2d(w, { dtype, form }), { ...options, bias, variant }),
    );
    expect(y.shape).toEqual(expected.shape);
    expectClose(await y.read(), expected.values, dtype === "f32" ? f32Tolerance(w.size / w.shape[0]!) : F16_TOLERANCE);
  });

  it("takes two sources, adds a bias by frames and a residual", async () => {
    const device = await testDevice();
    const all = (t: string, type = dtype) => sixteen(device, `conv_all.${t}`, type);
    const options = { ...same, x2: put(device, "conv_all.x2", dtype), rowBias: all("g"), residual: all("r") };
    using y = device.scope(() => {
      const w = packConv2d(all("w", "f32"), { form: "winograd" });
      const x = put(device, "conv_all.x", dtype);
      return conv2d(x, w, { ...options, bias: all("b", "f32"), activation: "silu", variant });
    });
    using expected = all("y", "f32");
    expectClose(await y.read(), await expected.read(), dtype === "f32" ? f32Tolerance(32 * 9) : F16_TOLERANCE);
  });
});

/** The first 16 of 17 outputs: of a weight or bias along its first dimension, of what is channels last along its last. */
function sixteen(device: Device, name: string, dtype: "f32" | "f16"): Tensor {
  const { values, shape } = stored(name);
  const first = shape[0] === 17;
  const kept = values.filter((_, i) => first || i % 17 < 16).slice(0, first ? (values.length / 17) * 16 : undefined);
  return Tensor.from(device, kept, first ? [16, ...shape.slice(1)] : [...shape.slice(0, -1), 16], dtype, name);
}

describe("winograd", () => {
  it.each(["same", "up", "up_odd"])("is the same in slices of frames and of rows: %s", async (name) => {
    const device = await testDevice();
    const [form, options] = cases[name]!;
    const w = packConv2d(put(device, `conv_${name}.w`), { form });
    const residual = put(device, `conv_${name}.y`);
    const run = () => device.scope(() => conv2d(put(device, `conv_${name}.x`), w, { ...options, residual }));
    using whole = run();
    const points = w.weight.shape[1]!;
    const tileBytes = points * Math.max(w.weight.shape[2]!, w.outputs) * 4;
    const columns = Math.ceil(whole.shape[2]! / 2);
    for (const tiles of [columns, Math.ceil(whole.shape[1]! / 2) * columns]) {
      // Room for so many tiles beside those that fill up a product's rows.
      using sliced = withLimits(device, { maxBinding: (tiles + 15) * tileBytes + 256 }, run);
      expectClose(await sliced.read(), await whole.read(), 1e-7);
    }
    w.weight.dispose();
  });

  it("transforms weights on the host as on the device", async () => {
    const device = await testDevice();
    const values = Float32Array.from({ length: 6 * 5 * 9 }, (_, i) => Math.sin(i * 1.7) * 2 ** (i % 9));
    for (const form of ["winograd", "doubled"] as const)
      for (const dtype of ["f32", "f16"] as const) {
        const raw = Tensor.from(device, values, [6, 5, 3, 3], dtype);
        using u = device.scope(() => transformWeight(raw, form, dtype));
        const rounded = encode(await u.read(), dtype);
        expect(Buffer.compare(transformOnHost(encode(values, dtype), dtype, form), rounded)).toBe(0);
        raw.dispose();
      }
  });

  it("says what does not fit its weights", async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) =>
      Tensor.from(device, new Float32Array(shape.reduce((a, b) => a * b)), shape, "f32", "t");
    device.scope(() => {
      const w = packConv2d(zeros(8, 4, 3, 3), { form: "winograd", label: "conv.weight" });
      expect(() => conv2d(zeros(1, 4, 4, 4), w, { ...same, stride: 2 })).toThrow("are for stride 1");
      expect(() => conv2d(zeros(1, 4, 4, 4), w, { ...same, upsampleTo: [8, 8] })).toThrow("no upsampling");
      const doubled = packConv2d(zeros(8, 4, 3, 3), { form: "doubled" });
      expect(() => conv2d(zeros(1, 4, 4, 4), doubled, same)).toThrow("upsampling to twice the size");
      expect(() => conv2d(zeros(1, 4, 4, 4), doubled, { ...same, upsampleTo: [6, 8] })).toThrow("got [4, 4]");
      const odd = packConv2d(zeros(8, 5, 3, 3), { form: "winograd" });
      expect(() => conv2d(zeros(1, 4, 4, 5), odd, same)).toThrow("want channels in multiples of 4");
      expect(() => packConv2d(zeros(8, 4, 1, 1), { form: "winograd" })).toThrow("expected kernels of 3 × 3");
    });
  });
});
