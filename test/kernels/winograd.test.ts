import { afterAll, describe, expect, it } from "vitest";
import { conv2d, packConv2d, type Conv2dOptions } from "../../kernels/conv2d.js";
import type { GemmVariant, GemmWay } from "../../kernels/gemm.js";
import { ROWS_OF_TILES } from "../../kernels/gemm-ways.js";
import { convForm, type ConvForm, type ConvLayer } from "../../kernels/winograd.js";
import { transformOnHost, transformWeight } from "../../kernels/winograd-weight.js";
import { Device } from "../../src/gpu/device.js";
import { TYPICAL, type Capabilities } from "../../src/gpu/limits.js";
import { openDevice } from "../../src/gpu/open.js";
import { nodeGPU } from "../../src/node-device.js";
import { encode } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-gemm");
const put = (device: Device, name: string, dtype: "f32" | "f16" = "f32") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const SOFTWARE = { kind: "cpu", subgroups: true, subgroupSize: 8 } as const;
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
  const sliced = ["same", "up", "up_odd"].flatMap((name) =>
    (["cpu", "gpu"] as const).map((kind) => [name, kind] as const),
  );
  it.each(sliced)("is the same in slices of frames and of rows: %s, on a %s", async (name, kind) => {
    const device = await testDevice();
    const [form, options] = cases[name]!;
    const w = packConv2d(put(device, `conv_${name}.w`), { form });
    const residual = put(device, `conv_${name}.y`);
    const run = () => device.scope(() => conv2d(put(device, `conv_${name}.x`), w, { ...options, residual }));
    using whole = withLimits(device, { kind }, run);
    const points = w.weight.shape[1]!;
    const tileBytes = points * Math.max(w.weight.shape[2]!, w.outputs) * 4;
    const columns = Math.ceil(whole.shape[2]! / 2);
    const frame = Math.ceil(whole.shape[1]! / 2) * columns;
    for (const tiles of [columns, frame]) {
      // Room for so many tiles beside those that fill up a product's rows.
      const room = (tiles + ROWS_OF_TILES[kind] - 1) * tileBytes + device.capabilities.alignment;
      device.resetCounts();
      using parts = withLimits(device, { kind, maxBinding: room }, run);
      if (tiles < whole.shape[0]! * frame) expect(device.counts.dispatches).toBeGreaterThan(3); // those of the whole
      expectClose(await parts.read(), await whole.read(), 1e-7);
    }
    w.weight.dispose();
    residual.dispose();
  });

  it("is the same in units of four channels, as on GPUs, for both storages", async () => {
    const device = await testDevice();
    for (const [name, dtype] of [
      ["same", "f16"],
      ["up_odd", "f32"],
    ] as const) {
      const [form, options] = cases[name]!;
      using w = put(device, `conv_${name}.w`);
      const packed = packConv2d(w, { form, dtype });
      const run = () =>
        device.scope(() =>
          conv2d(put(device, `conv_${name}.x`, dtype), packed, { ...options, activation: "silu", variant: "gpu" }),
        );
      using narrow = run();
      using wide = withLimits(device, { kind: "gpu" }, run);
      expectClose(await wide.read(), await narrow.read(), 1e-7);
      packed.weight.dispose();
    }
  });

  it("keeps what lies between its passes within bounds, in slices", () => {
    using device = Device.dry({ ...SOFTWARE, maxBinding: 2 ** 27 });
    const x = Tensor.empty(device, [16, 64, 64, 320], "f16", "x");
    const w = packConv2d(Tensor.empty(device, [320, 320, 3, 3], "f16"), { form: "winograd" });
    device.trim();
    device.pool.resetPeaks();
    device.resetCounts();
    const before = device.memory.used;
    const y = conv2d(x, w, same);
    expect(device.memory.peakReserved - before).toBeLessThanOrEqual(y.bytes + 2 * 2 ** 22);
    // 16 frames of 32 × 32 tiles, 10240 bytes a tile: 12 rows of a frame fit at once.
    expect(device.counts.dispatches).toBe(3 * 16 * 3);
    expect(device.counts.flops).toBeLessThan((2 * y.size * 320 * 9) / 2);
  });

  it("goes beyond these bounds for a single row of tiles", () => {
    using device = Device.dry({ ...SOFTWARE, maxBinding: 2 ** 27 });
    const x = Tensor.empty(device, [1, 4, 2048, 256], "f32", "x");
    const w = packConv2d(Tensor.empty(device, [256, 256, 3, 3], "f32"), { form: "winograd" });
    device.resetCounts();
    conv2d(x, w, same);
    expect(device.counts.dispatches).toBe(3 * 2);
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

describe("convForm", () => {
  const software: Capabilities = { ...TYPICAL, ...SOFTWARE };
  const layer = (inputs: number, outputs: number, more: Partial<ConvLayer> = {}): ConvLayer => ({
    inputs,
    outputs,
    kernel: 3,
    stride: 1,
    doubled: false,
    ...more,
  });

  it.each<[string, ConvLayer, Partial<Capabilities>, ConvForm]>([
    ["many channels on software with subgroups of 8", layer(320, 320), {}, "winograd"],
    ["enough on both sides", layer(192, 64), {}, "winograd"],
    ["few channels", layer(64, 64), {}, "direct"],
    ["few channels, doubled", layer(64, 64, { doubled: true }), {}, "doubled"],
    ["very few channels, doubled", layer(32, 32, { doubled: true }), {}, "direct"],
    ["stride 2", layer(320, 320, { stride: 2 }), {}, "direct"],
    ["1 × 1", layer(320, 320, { kernel: 1 }), {}, "direct"],
    ["channels in odd numbers", layer(320, 319), {}, "direct"],
    ["more than a binding holds while it is transformed", layer(2560, 1280), {}, "direct"],
    ["a GPU", layer(320, 320), { kind: "gpu", subgroupSize: 32 }, "direct"],
    ["software with other subgroups", layer(320, 320), { subgroupSize: 4 }, "direct"],
  ])("%s", (_, sizes, limits, form) => {
    expect(convForm(sizes, { ...software, ...limits })).toBe(form);
  });
});

describe("winograd on a GPU", async () => {
  // This machine has none: Dawn's null backend validates and compiles, and runs nothing.
  const gpu = await nodeGPU(["backend=null"]);
  const device = await openDevice((await gpu.requestAdapter())!, { kind: "gpu" });
  afterAll(() => device.dispose());

  it.each<[ConvForm, "f32" | "f16", GemmWay]>([
    ["winograd", "f32", "gpu/2"],
    ["doubled", "f16", "gpu"],
    ["doubled", "f32", "gpu"],
  ])("compile: %s, %s, products by %s", async (form, dtype, variant) => {
    device.scope(() => {
      const room = (shape: number[], type: "f32" | "f16" = dtype) => Tensor.empty(device, shape, type, "room");
      const size = form === "doubled" ? 16 : 8;
      const w = packConv2d(room([40, 64, 3, 3]), { form });
      const y = conv2d(room([2, 8, 8, 32]), w, {
        ...same,
        ...(form === "doubled" && { upsampleTo: [16, 16] }),
        x2: room([2, 8, 8, 32]),
        bias: room([40], "f32"),
        rowBias: room([1, 40]),
        residual: room([2, size, size, 40]),
        activation: "relu",
        variant,
      });
      expect(y.shape).toEqual([2, size, size, 40]);
    });
    await expect(device.drain()).resolves.toBeUndefined();
  });
});
