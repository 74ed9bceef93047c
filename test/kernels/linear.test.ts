import { describe, expect, it } from "vitest";
import type { GemmVariant } from "../../kernels/gemm.js";
import { linear, packLinear } from "../../kernels/linear.js";
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
const storage = [
  ["f32", "f32"],
  ["f32", "f16"],
  ["f16", "f16"],
] as const;
const combinations = variants.flatMap((v) =>
  storage.filter((s) => v !== "block" || s[0] !== s[1]).map(([x, w]) => [v, x, w] as const),
);

describe.each(combinations)("linear, %s, x %s, weights %s", (variant, dtype, weights) => {
  const tolerance = (k: number) => (dtype === "f32" ? f32Tolerance(k) : F16_TOLERANCE);

  it.each(["wide", "odd", "row"])("agrees with torch: %s", async (name) => {
    const device = await testDevice();
    const [x, w, b] = [put(device, `${name}.x`, dtype), put(device, `${name}.w`), put(device, `${name}.b`)];
    using y = device.scope(() => linear(x, packLinear(w, { dtype: weights }), { bias: b, variant }));
    expect(y.shape).toEqual(stored(`${name}.y`).shape);
    expectClose(await y.read(), stored(`${name}.y`).values, tolerance(w.shape[1]!));
  });

  it("fuses GEGLU", async () => {
    const device = await testDevice();
    const [x, w, b] = [put(device, "geglu.x", dtype), put(device, "geglu.w", "f16"), put(device, "geglu.b")];
    using y = device.scope(() => linear(x, packLinear(w, { dtype: weights, geglu: true }), { bias: b, variant }));
    expect(y.shape).toEqual([19, 40]);
    expectClose(await y.read(), stored("geglu.y").values, tolerance(24));
  });

  it("joins weights, takes two sources, adds a bias by rows and a residual", async () => {
    const device = await testDevice();
    const [x, x2, residual, rowBias] = ["x", "x2", "r", "g"].map((t) => put(device, `all.${t}`, dtype)) as Tensor[];
    const ws = [0, 1, 2].map((i) => put(device, `all.w${i}`, "f16"));
    const options = { x2, residual, rowBias, activation: "silu", variant } as const;
    using y = device.scope(() => linear(x!, packLinear(ws, { dtype: weights }), options));
    expectClose(await y.read(), stored("all.y").values, tolerance(24));
  });
});

describe("linear", () => {
  it.each(
    (["silu", "gelu", "gelu_tanh", "quick_gelu", "relu"] as const).flatMap((a) =>
      (["plain", "cpu"] as const).map((v) => [v, a] as const),
    ),
  )("applies activations as torch does: %s %s", async (variant, activation) => {
    const device = await testDevice();
    const [x, w, bias] = ["x", "w", "b"].map((t) => put(device, `${activation}.${t}`)) as [Tensor, Tensor, Tensor];
    using y = device.scope(() => linear(x, packLinear(w), { bias, activation, variant }));
    expectClose(await y.read(), stored(`${activation}.y`).values, f32Tolerance(16));
  });

  it.each(variants)("is the same in slices that fit small bindings, %s", async (variant) => {
    const device = await testDevice();
    const values = Float32Array.from({ length: 101 * 36 }, (_, i) => Math.sin(i * 1.37));
    const w = Float32Array.from({ length: 12 * 36 }, (_, i) => Math.cos(i * 0.71));
    const run = () =>
      device.scope(() => {
        const x = Tensor.from(device, values, [101, 36]);
        const rowBias = Tensor.from(device, w.subarray(0, 12), [1, 12]);
        return linear(x, packLinear(Tensor.from(device, w, [12, 36])), { rowBias, variant });
      });
    using whole = run();
    using sliced = withLimits(device, { maxBinding: 4096 + 256, maxWorkgroups: 2 }, run);
    expectClose(await sliced.read(), await whole.read(), 1e-7);
  });

  it("names the operands that do not fit", async () => {
    const device = await testDevice();
    const zeros = (...shape: number[]) =>
      Tensor.from(device, new Float32Array(shape.reduce((a, b) => a * b)), shape, "f32", "t");
    device.scope(() => {
      const w = packLinear(zeros(6, 4), { label: "proj.weight" });
      expect(() => linear(zeros(2, 5), w)).toThrow('linear: f32[2, 5] "t" do not match the weight 6 × 4 "proj.weight"');
      expect(() => linear(zeros(2, 4), w, { bias: zeros(5) })).toThrow("expected a bias f32[6]");
      expect(() => linear(zeros(2, 4), w, { residual: zeros(2, 5) })).toThrow("expected a residual f32[2, 6]");
      expect(() => linear(zeros(3, 4), w, { rowBias: zeros(2, 6) })).toThrow(
        "expected a rowBias f32[a divisor of 3, 6]",
      );
      expect(() => packLinear([zeros(6, 4), zeros(6, 5)])).toThrow(
        "packLinear: expected f32 or f16 weights [outputs, 4]",
      );
      expect(() => packLinear(zeros(5, 4), { geglu: true })).toThrow("even number of outputs");
    });
  });
});
