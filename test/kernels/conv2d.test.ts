import { describe, expect, it } from "vitest";
import { conv2d, packConv2d, type Conv2dOptions } from "../../kernels/conv2d.js";
import type { GemmVariant } from "../../kernels/gemm.js";
import { slices, type Geometry } from "../../kernels/gemm-slices.js";
import type { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-gemm");
const put = (device: Device, name: string, dtype: "f32" | "f16" = "f32") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const variants: GemmVariant[] = ["plain", "cpu", "block", "gpu"];
/** Each variant with each storage it is likely to meet. */
const combinations = variants.flatMap((v) =>
  (v === "block" ? (["f32"] as const) : (["f32", "f16"] as const)).map((d) => [v, d] as const),
);
const same = { padding: [1, 1, 1, 1] } as const;
const cases: Record<string, Conv2dOptions> = {
  same,
  three: same,
  four: same,
  out: same,
  sixteen: same,
  odd: same,
  one: {},
  stride: { ...same, stride: 2 },
  vae_down: { padding: [0, 0, 1, 1], stride: 2 },
  up: { ...same, upsampleTo: [6, 8] },
  up_odd: { ...same, upsampleTo: [5, 7] },
  five: { padding: [2, 2, 2, 2] },
  deep: same,
};

describe.each(combinations)("conv2d, %s, %s", (variant, dtype) => {
  it.each(Object.entries(cases))("agrees with torch: %s", async (name, options) => {
    const device = await testDevice();
    const [x, w, bias] = [`x`, `w`, `b`].map((t) => put(device, `conv_${name}.${t}`, t === "x" ? dtype : "f32")) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const expected = stored(`conv_${name}.y`);
    using y = device.scope(() => conv2d(x, packConv2d(w, { dtype }), { ...options, bias, variant }));
    expect(y.shape).toEqual(expected.shape);
    expectClose(await y.read(), expected.values, dtype === "f32" ? f32Tolerance(w.size / w.shape[0]!) : F16_TOLERANCE);
  });

  it("takes two sources, adds a bias by frames and a residual", async () => {
    const device = await testDevice();
    const [x, x2, rowBias, residual] = ["x", "x2", "g", "r"].map((t) => put(device, `conv_all.${t}`, dtype)) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const [w, bias] = [put(device, "conv_all.w", "f16"), put(device, "conv_all.b")];
    const options = { ...same, x2, rowBias, residual, bias, activation: "silu", variant } as const;
    using y = device.scope(() => conv2d(x, packConv2d(w, { dtype: "f32" }), options));
    expectClose(await y.read(), stored("conv_all.y").values, dtype === "f32" ? f32Tolerance(32 * 9) : F16_TOLERANCE);
  });

  it.each(["same", "stride", "vae_down", "up", "up_odd"])(
    "is the same in slices of rows with their neighbours: %s",
    async (name) => {
      const device = await testDevice();
      const w = packConv2d(put(device, `conv_${name}.w`), { dtype });
      const run = () =>
        device.scope(() => {
          return conv2d(put(device, `conv_${name}.x`, dtype), w, { ...cases[name], variant });
        });
      using whole = run();
      // One frame does not fit: 7 × 6 pixels of 24 channels are 4032 bytes in f32.
      const limits = { maxBinding: dtype === "f32" ? 2048 : 1152, maxWorkgroups: 2 };
      using sliced = withLimits(device, limits, run);
      expectClose(await sliced.read(), await whole.read(), 1e-7);
      w.weight.dispose();
    },
  );
});

describe("conv2d", () => {
  it("binds only the rows that a slice reads", () => {
    const size = [8, 4] as const;
    const g: Geometry = {
      frames: 2,
      source: size,
      input: size,
      output: size,
      kernel: [3, 3],
      stride: 1,
      top: 1,
      left: 1,
    };
    const found = [...slices(g, 64, 64, { maxBinding: 1024 + 256, alignment: 256 }, "conv2d")];
    expect(found.map((s) => [s.frame, s.row, s.rows, s.sourceRow, s.sourceRows])).toEqual([
      [0, 0, 3, 0, 4],
      [0, 3, 2, 2, 4],
      [0, 5, 3, 4, 4],
      [1, 0, 3, 0, 4],
      [1, 3, 2, 2, 4],
      [1, 5, 3, 4, 4],
    ]);
    expect(() => [...slices(g, 64, 64, { maxBinding: 512, alignment: 256 }, "conv2d x")]).toThrow(
      "conv2d x: one row of pixels exceeds",
    );
  });

  it("names the operands that do not fit", async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) =>
      Tensor.from(device, new Float32Array(shape.reduce((a, b) => a * b)), shape, "f32", "t");
    device.scope(() => {
      const w = packConv2d(zeros(6, 4, 3, 3), { label: "conv.weight" });
      expect(() => conv2d(zeros(1, 5, 5, 3), w)).toThrow(
        'conv2d: f32[1, 5, 5, 3] "t" do not match the weight [6, 4, 3, 3] "conv.weight"',
      );
      expect(() => conv2d(zeros(1, 2, 2, 4), w)).toThrow("a 3×3 kernel does not fit");
      expect(() => conv2d(zeros(1, 5, 5, 4), w, { bias: zeros(4) })).toThrow("conv2d: expected a bias f32[6]");
      expect(() => conv2d(zeros(2, 5, 5, 4), w, { rowBias: zeros(3, 6) })).toThrow(
        "conv2d: expected a rowBias f32[a divisor of 2, 6]",
      );
      expect(() => conv2d(zeros(1, 5, 5, 4), w, { upsampleTo: [4, 4] })).toThrow("smaller than");
      expect(() => packConv2d(zeros(6, 4))).toThrow("packConv2d: weight: expected 4 dimensions");
    });
  });
});
