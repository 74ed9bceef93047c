import { describe, expect, it } from "vitest";
import { conv2d, packConv2d } from "../../kernels/conv2d.js";
import type { GemmVariant, GemmWay } from "../../kernels/gemm.js";
import { linear, packLinear } from "../../kernels/linear.js";
import { Device } from "../../src/gpu/device.js";
import { deviceDescriptor, type Capabilities } from "../../src/gpu/limits.js";
import { nodeGPU } from "../../src/node-device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { shaders } from "../../shaders/index.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { MINIMUM, testDevice } from "../support/device.js";

/** A tensor without values. */
const room = (device: Device, shape: number[], dtype: "f32" | "f16") => Tensor.empty(device, shape, dtype, "room");

describe("choice of a variant", () => {
  const chosen = (
    limits: Partial<Capabilities>,
    dtype: "f32" | "f16",
    channels: readonly [number, number?],
    rows = 64,
  ) => {
    using device = Device.dry(limits);
    const [c1, c2 = 0] = channels;
    const w = packLinear(room(device, [rows === 64 ? 64 : 320, c1 + c2], dtype));
    device.resetCounts();
    linear(room(device, [rows, c1], dtype), w, c2 > 0 ? { x2: room(device, [rows, c2], dtype) } : {});
    const [code = ""] = device.counts.codes;
    const idea: Record<GemmVariant, string> = {
      plain: "one invocation an output",
      cpu: "no value is loaded twice",
      block: "as outer products of four pixels",
      gpu: "share what they read through workgroup memory",
      wide: "for layers of many pixels",
      matrix: "const SIDE: u32 = 2u",
      "matrix-wide": "const SIDE: u32 = 4u",
    };
    return (Object.keys(idea) as GemmVariant[]).filter((v) => code.includes(idea[v]));
  };
  const software = { kind: "cpu", subgroups: true, subgroupSize: 8 } as const;
  const tensorCores = {
    kind: "gpu",
    subgroups: true,
    subgroupSize: 32,
    subgroupMatrix: true,
    workgroupMemory: 49152,
  } as const;

  it("plain for a single row with an activation on software, which has no pipeline to share", () => {
    using device = Device.dry(software);
    const w = packLinear(room(device, [64, 24], "f32"));
    device.resetCounts();
    linear(room(device, [1, 24], "f32"), w, { activation: "silu" });
    expect([...device.counts.codes].map((c) => c.includes("one invocation an output"))).toEqual([true]);
  });

  it.each<[string, Partial<Capabilities>, "f32" | "f16", [number, number?], GemmVariant]>([
    ["software, subgroups of 8", software, "f32", [24], "cpu"],
    ["software, other subgroups", { ...software, subgroupSize: 4 }, "f32", [24], "block"],
    ["software, two sources", software, "f16", [16, 24], "cpu"],
    ["two sources, the first with an odd end", software, "f32", [12, 24], "plain"],
    ["a GPU", { kind: "gpu" }, "f16", [32], "gpu"],
    ["tensor cores, f16", tensorCores, "f16", [32], "matrix"],
    ["tensor cores, f16, other channels", tensorCores, "f16", [24], "gpu"],
    ["tensor cores, two sources of other channels", tensorCores, "f16", [16, 16], "gpu"],
    ["tensor cores, f32", tensorCores, "f32", [32], "gpu"],
    ["tensor cores, wide subgroups", { ...tensorCores, subgroupSize: 0 }, "f16", [32], "gpu"],
  ])("%s", (_, limits, dtype, channels, variant) => {
    expect(chosen(limits, dtype, channels)).toEqual([variant]);
  });

  it.each<[string, Partial<Capabilities>, "f32" | "f16", number, GemmVariant]>([
    ["a GPU", { kind: "gpu" }, "f32", 320, "wide"],
    ["a GPU, other channels", { kind: "gpu" }, "f32", 24, "gpu"],
    ["tensor cores", tensorCores, "f16", 320, "matrix-wide"],
    ["tensor cores, f32", tensorCores, "f32", 320, "wide"],
  ])("many pixels: %s", (_, limits, dtype, channels, variant) => {
    expect(chosen(limits, dtype, [channels], 8192)).toEqual([variant]);
  });

  it("refuses a variant that cannot do the work", () => {
    using device = Device.dry({ kind: "gpu" });
    const w = packLinear(room(device, [64, 24], "f16"));
    const run = (variant: GemmVariant, dtype: "f32" | "f16") => linear(room(device, [64, 24], dtype), w, { variant });
    expect(() => run("wide", "f32")).toThrow("variant wide wants channels of each source in multiples of 16");
    expect(() => run("matrix", "f16")).toThrow("variant matrix wants channels of each source in multiples of 32");
  });
});

describe("split sums", () => {
  it.each<[GemmWay, "f32" | "f16"]>([
    ["gpu/2", "f32"],
    ["gpu/8", "f16"],
  ])("%s in %s: bias, activation, time embedding and residual follow the whole sum", async (variant, dtype) => {
    const device = await testDevice();
    const put = (shape: number[], type: "f32" | "f16" = dtype) =>
      Tensor.from(device, values(shape.reduce((n, d) => n * d, 1)), shape, type);
    const w = packConv2d(put([38, 24, 3, 3]));
    const options = {
      bias: put([38], "f32"),
      rowBias: put([2, 38]),
      residual: put([2, 7, 6, 38]),
      activation: "silu",
      padding: [1, 1, 1, 1],
    } as const;
    using expected = conv2d(put([2, 7, 6, 24]), w, { ...options, variant: "plain" });
    using y = conv2d(put([2, 7, 6, 24]), w, { ...options, variant });
    expectClose(await y.read(), await expected.read(), dtype === "f32" ? f32Tolerance(216) : F16_TOLERANCE);
  });

  it("GEGLU, and more shares than there are steps", async () => {
    const device = await testDevice();
    const x = Tensor.from(device, values(20 * 24), [20, 24]);
    const w = packLinear(Tensor.from(device, values(76 * 24), [76, 24]), { geglu: true });
    using expected = linear(x, w, { variant: "plain" });
    using y = linear(x, w, { variant: "gpu/4" });
    expectClose(await y.read(), await expected.read(), f32Tolerance(24));
  });

  it("are the table's choice for deep layers of few tiles on a GPU, where they fit a binding", () => {
    const dispatches = (limits: Partial<Capabilities>, rows: number, depth: number) => {
      using device = Device.dry(limits);
      const w = packLinear(room(device, [320, depth], "f16"));
      device.resetCounts();
      linear(room(device, [rows, depth], "f16"), w);
      return device.counts.dispatches;
    };
    expect(dispatches({ kind: "gpu" }, 64, 2560)).toBe(2);
    expect(dispatches({ kind: "gpu" }, 64, 320)).toBe(1);
    expect(dispatches({ kind: "gpu" }, 4096, 2560)).toBe(1);
    expect(dispatches({ kind: "cpu", subgroupSize: 8 }, 64, 2560)).toBe(1);
  });
});

describe("tensor cores", () => {
  /** Dawn's messages on the shaders of some work: its null backend reads WGSL, but has no room for their tiles. */
  const messages = async (work: (device: Device) => void): Promise<string[]> => {
    using dry = Device.dry({ kind: "gpu", subgroupMatrix: true, workgroupMemory: 49152 });
    work(dry);
    const codes = [...dry.counts.codes].filter((c) => c.includes("subgroupMatrixMultiplyAccumulate"));
    expect(codes).toHaveLength(1);
    const adapter = (await (await nodeGPU(["backend=null"])).requestAdapter())!;
    const gpu = await adapter.requestDevice(deviceDescriptor(adapter));
    const info = await Promise.all(codes.map((code) => gpu.createShaderModule({ code }).getCompilationInfo()));
    gpu.destroy();
    return info.flatMap((i) => i.messages.map((m) => m.message));
  };

  it.each([
    ["one source", "matrix", 32, undefined, {}],
    ["two sources, tiles of 128 × 128", "matrix-wide", 32, 32, { activation: "silu" }],
    ["shares of sums", "matrix/2", 64, undefined, {}],
    ["shares of sums, tiles of 128 × 128", "matrix-wide/2", 64, undefined, {}],
  ] as const)("compile: %s", async (_, variant, channels, second, options) => {
    const found = await messages((device) => {
      const x = room(device, [1, 8, 8, channels], "f16");
      const x2 = second && room(device, [1, 8, 8, second], "f16");
      const w = packConv2d(room(device, [40, channels + (second ?? 0), 3, 3], "f16"));
      const residual = room(device, [1, 8, 8, 40], "f16");
      const y = conv2d(x, w, { ...options, x2, residual, padding: [1, 1, 1, 1], variant });
      expect(y.shape).toEqual([1, 8, 8, 40]);
    });
    expect(found).toEqual([]);
  });

  it("compile: GEGLU", async () => {
    const found = await messages((device) => {
      const w = packLinear(room(device, [64, 32], "f16"), { geglu: true });
      linear(room(device, [20, 32], "f16"), w, { bias: room(device, [64], "f32"), variant: "matrix" });
    });
    expect(found).toEqual([]);
  });
});

const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7) + Math.cos(i * 0.31));

/** What a product may be asked for, on channels in steps of 32. */
const layers = {
  "bias, time embedding, activation, residual": { activation: "silu", residual: true, rowBias: true },
  "two sources": { second: 64 },
  "stride 2": { stride: 2 },
  upsampled: { upsampleTo: [14, 11] },
} as const satisfies Record<string, object>;

/** A convolution of two frames of 7 × 6 pixels by a variant, and by the plain one. */
async function both(variant: GemmWay, dtype: "f32" | "f16", layer: keyof typeof layers): Promise<[Tensor, Tensor]> {
  const device = await testDevice();
  const put = (shape: number[], type: "f32" | "f16" = dtype) =>
    Tensor.from(device, values(shape.reduce((n, d) => n * d, 1)), shape, type);
  const {
    second = 0,
    residual,
    rowBias,
    ...options
  } = layers[layer] as {
    second?: number;
    residual?: boolean;
    rowBias?: boolean;
  };
  const w = packConv2d(put([72, 32 + second, 3, 3]));
  const run = (v: GemmWay) =>
    conv2d(put([2, 7, 6, 32]), w, {
      ...options,
      bias: put([72], "f32"),
      ...(second > 0 && { x2: put([2, 7, 6, second]) }),
      ...(residual && { residual: put([2, 7, 6, 72]) }),
      ...(rowBias && { rowBias: put([2, 72]) }),
      padding: [1, 1, 1, 1],
      variant: v,
    });
  return [run(variant), run("plain")];
}

describe.each(["f32", "f16"] as const)("tiles of 128 × 128, %s", (dtype) => {
  it.each(Object.keys(layers) as (keyof typeof layers)[])("agree with the plain product: %s", async (layer) => {
    const [y, expected] = await both("wide", dtype, layer);
    expectClose(await y.read(), await expected.read(), dtype === "f32" ? f32Tolerance(288) : F16_TOLERANCE);
  });

  it("agree with it in shares", async () => {
    const [y, expected] = await both("wide/2", dtype, "two sources");
    expectClose(await y.read(), await expected.read(), dtype === "f32" ? f32Tolerance(864) : F16_TOLERANCE);
  });
});

/** The matrix shader with its matrix units spelt out: 32 lanes own eight sums of each 16 × 16 block. */
function withoutMatrixUnits(source: string): string {
  return source
    .replace(/ \/\/ (unroll|registers)$/gm, "")
    .replace(/^(enable chromium|diagnostic).*$/gm, "")
    .replace(/^alias (Left|Right|Sum) = .*$/gm, (_, name: string) =>
      name === "Sum" ? "alias Sum = array<f32, 8>;" : `struct ${name} { at: u32, stride: u32 }`,
    )
    .replace(/subgroupMatrixLoad<(\w+), row_major>\(&\w+, (.+), (\w+)\);/g, "$1($2, $3);")
    .replace(/subgroupMatrixMultiplyAccumulate\(/g, "multiplyBlocks(t % 32u, ")
    .replace(
      /subgroupMatrixStore<row_major>\(&sums, (.+), (acc\[.+\]), PITCH_S\);/,
      `for (var h = 0u; h < 2u; h++) {
        let m = $2;
        sums[$1 + t % 32u / 2u * PITCH_S + t % 2u * 2u + h] = vec4<f32>(m[4u * h], m[4u * h + 1u], m[4u * h + 2u], m[4u * h + 3u]);
      }`,
    ).concat(`
      fn multiplyBlocks(lane: u32, l: Left, r: Right, sum: Sum) -> Sum {
        var result = sum;
        for (var e = 0u; e < min(8u, p.c_padded); e++) { // bounds the compiler does not unroll
          let row = (lane * 8u + e) / 16u;
          let column = (lane * 8u + e) % 16u;
          for (var k = 0u; k < min(16u, p.c_padded); k++) {
            result[e] += f32(tile_a[l.at + row * l.stride + k / 4u][k % 4u])
              * f32(tile_b[r.at + k * r.stride + column / 4u][column % 4u]);
          }
        }
        return result;
      }`);
}

// Its tiles want more workgroup memory than WebGPU guarantees.
it.skipIf(MINIMUM)("the matrix shader's tiles are right: the same values with its matrix units spelt out", async () => {
  const own = shaders["gemm-matrix"];
  Object.assign(shaders, { "gemm-matrix": withoutMatrixUnits(own) });
  try {
    const [y, expected] = await both("matrix", "f16", "two sources");
    expectClose(await y.read(), await expected.read(), F16_TOLERANCE);
  } finally {
    Object.assign(shaders, { "gemm-matrix": own });
  }
});
