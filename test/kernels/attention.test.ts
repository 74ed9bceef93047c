import { describe, expect, it } from "vitest";
import { attention, temporalAttention, type AttentionWay, type Columns } from "../../kernels/attention.js";
import { Device } from "../../src/gpu/device.js";
import type { Capabilities } from "../../src/gpu/limits.js";
import { openDevice } from "../../src/gpu/open.js";
import { nodeGPU } from "../../src/node-device.js";
import { shaders } from "../../shaders/index.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-attention");
const put = (device: Device, name: string, dtype: "f32" | "f16") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

type Case = keyof typeof spatial | keyof typeof temporal;
/** The gpu variant takes a software adapter seconds to compile: one case for each of its shapes. */
const gpuCases: Record<string, readonly Case[]> = {
  "gpu f32": ["cross", "causal", "wide", "frames5"],
  "gpu f16": ["self", "frames16"],
  "gpu/half f32": ["self"],
  "gpu/keys f32": ["cross"],
};
const variants: AttentionWay[] = ["plain", "cpu", "gpu"];
const combinations: readonly (readonly [AttentionWay, "f32" | "f16"])[] = [
  ...variants.flatMap((v) => (["f32", "f16"] as const).map((x) => [v, x] as const)),
  ["gpu/half", "f32"],
  ["gpu/keys", "f32"],
];
const spatial = {
  self: [2, 40],
  cross: [1, 16],
  causal: [3, 8],
  one: [1, 20],
  steep: [1, 64],
  wide: [1, 512],
} as const;
const temporal = { frames16: [16, 2, 8], frames5: [5, 1, 12], frames33: [33, 1, 16] } as const;

describe.each(combinations)("attention, %s, %s", (variant, dtype) => {
  const tolerance = (n: number) => (dtype === "f32" ? f32Tolerance(n) : F16_TOLERANCE);

  /** The memory layout of each kind of adapter with its variant. */
  const run = (device: Device, body: () => Tensor) =>
    variant.startsWith("gpu") ? withLimits(device, { kind: "gpu" }, body) : body();
  const tested = <T>(cases: Readonly<Record<string, T>>) =>
    Object.entries(cases).filter(([name]) => gpuCases[`${variant} ${dtype}`]?.some((c) => c === name) ?? true);

  it.each(tested<readonly [number, number]>(spatial))("agrees with torch: %s", async (name, [heads, headDim]) => {
    const device = await testDevice();
    const [q, k, v] = ["q", "k", "v"].map((x) => put(device, `${name}.${x}`, dtype)) as [Tensor, Tensor, Tensor];
    const scale = name === "wide" ? { scale: 0.05 } : {};
    using y = run(device, () => attention(q, k, v, { heads, headDim, causal: name === "causal", ...scale, variant }));
    expect(y.shape).toEqual(stored(`${name}.y`).shape);
    expectClose(await y.read(), stored(`${name}.y`).values, tolerance(headDim + k.shape[1]!));
    for (const x of [q, k, v]) x.dispose();
  });

  it.each(tested<readonly [number, number, number]>(temporal))(
    "over frames agrees with torch: %s",
    async (name, [frames, heads, headDim]) => {
      const device = await testDevice();
      using qkv = put(device, `${name}.qkv`, dtype);
      const column = (i: number): Columns => ({ tensor: qkv, start: i * heads * headDim });
      using y = run(device, () =>
        temporalAttention(column(0), column(1), column(2), { heads, headDim, frames, variant }),
      );
      expectClose(await y.read(), stored(`${name}.y`).values, tolerance(headDim + frames));
    },
  );
});

describe("attention", () => {
  const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.37) * 2);

  it.each(["plain", "cpu"] as const)("is the same in slices that fit small bindings, %s", async (variant) => {
    const device = await testDevice();
    // Odd sizes, so that slices begin beside the alignment of bindings; two texts for six frames.
    using q = Tensor.from(device, values(6 * 9 * 40), [6, 9, 40], "f32", "q");
    using kv = Tensor.from(device, values(2 * 7 * 80), [2, 7, 80], "f32", "kv");
    const options = { heads: 1, headDim: 40, variant };
    const run = () => attention(q, { tensor: kv, start: 0 }, { tensor: kv, start: 40 }, options);
    using whole = run();
    const before = device.counts.dispatches;
    using sliced = withLimits(device, { maxBinding: 2 * 7 * 80 * 4 }, run);
    expect(device.counts.dispatches - before).toBeGreaterThan(1);
    expect(await sliced.read()).toEqual(await whole.read());
  });

  it.each(["plain", "cpu"] as const)("over frames is the same where a clip exceeds a binding, %s", async (variant) => {
    const device = await testDevice();
    using qkv = Tensor.from(device, values(2 * 5 * 21 * 24), [10, 21, 24], "f32", "qkv");
    const column = (i: number): Columns => ({ tensor: qkv, start: i * 8 });
    const run = () => temporalAttention(column(0), column(1), column(2), { heads: 1, headDim: 8, frames: 5, variant });
    using whole = run();
    using sliced = withLimits(device, { maxBinding: 5120 }, run);
    expect(await sliced.read()).toEqual(await whole.read());
  });

  it("names its operands where they do not fit", async () => {
    const device = await testDevice();
    using q = Tensor.from(device, values(3 * 2 * 8), [3, 2, 8], "f32", "q");
    using k = Tensor.from(device, values(2 * 2 * 8), [2, 2, 8], "f32", "k");
    using h = Tensor.from(device, values(3 * 2 * 8), [3, 2, 8], "f16", "h");
    const options = { heads: 1, headDim: 8 };
    expect(() => attention(q, k, k, options)).toThrow('attention: q f32[3, 2, 8] "q", k f32[2, 2, 8] "k"');
    expect(() => attention(q, q, h, options)).toThrow(
      'one dtype, f32 or f16; got f32[3, 2, 8] "q" and f16[3, 2, 8] "h"',
    );
    expect(() => attention(q, { tensor: q, start: 4 }, q, options)).toThrow("from column 4 on exceed");
    expect(() => temporalAttention(q, q, q, { ...options, frames: 2 })).toThrow("clips of 2 frames");
    expect(() => temporalAttention(q, k, k, { ...options, frames: 3 })).toThrow("leading sizes must be equal");
  });

  it("runs rows whose size is no multiple of 4 on the plain variant, and says so where another is asked for", async () => {
    const device = await testDevice();
    using x = Tensor.from(device, values(3 * 6), [1, 3, 6], "f32", "x");
    using y = attention(x, x, x, { heads: 1, headDim: 6 });
    using plain = attention(x, x, x, { heads: 1, headDim: 6, variant: "plain" });
    expect(await y.read()).toEqual(await plain.read());
    expect(() => attention(x, x, x, { heads: 1, headDim: 6, variant: "cpu" })).toThrow("multiples of 4");
  });
});

describe("attention by tensor cores", () => {
  it.each([40, 64, 160])("compiles for heads of %i channels", async (headDim) => {
    // This machine has none: Dawn's null backend validates and compiles, and runs nothing.
    const gpu = await nodeGPU(["backend=null"]);
    using device = await openDevice((await gpu.requestAdapter())!, { subgroups: true, subgroupSize: 32 });
    device.scope(() => {
      const [q, k] = [70, 77].map((rows) => Tensor.empty(device, [2, rows, headDim], "f16", "room"));
      attention(q!, k!, k!, { heads: 1, headDim, variant: "matrix" });
    });
    await expect(device.drain()).resolves.toBeUndefined();
    expect([...device.counts.codes].filter((c) => c.includes("subgroupMatrixMultiplyAccumulate"))).toHaveLength(1);
  });

  it("is tried, and not assumed, where an adapter has them", () => {
    const sites = (capabilities: Partial<Capabilities>, dtype: "f32" | "f16") => {
      using device = Device.dry({ kind: "gpu", subgroupMatrix: true, ...capabilities });
      const trials = device.tuning.collect();
      device.scope(() => {
        const x = Tensor.empty(device, [1, 128, 80], dtype, "x");
        attention(x, x, x, { heads: 2, headDim: 40 });
      });
      return [...trials.values()].map((t) => [...t.ways.keys()]);
    };
    const tiles = ["gpu", "gpu/half", "gpu/keys"];
    expect(sites({ subgroupSize: 32 }, "f16")).toEqual([[...tiles, "matrix"]]);
    expect(sites({ subgroupSize: 32 }, "f32")).toEqual([tiles]);
    expect(sites({ subgroupSize: 0 }, "f16")).toEqual([tiles]);
  });

  it.each([false, true])("computes the same with its matrix units spelt out, causal: %s", async (causal) => {
    const device = await testDevice();
    const own = shaders["attention-matrix"];
    Object.assign(shaders, { "attention-matrix": withoutMatrixUnits(own) });
    try {
      const values = (n: number, step: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step) * 2);
      const [q, k, v] = [67, 40, 40].map((rows, i) =>
        Tensor.from(device, values(rows * 48, 1.3 + i), [1, rows, 48], "f16"),
      ) as [Tensor, Tensor, Tensor];
      const options = { heads: 2, headDim: 24, causal };
      using expected = attention(q, k, v, { ...options, variant: "plain" });
      using y = attention(q, k, v, { ...options, variant: "matrix" });
      expectClose(await y.read(), await expected.read(), F16_TOLERANCE);
      for (const x of [q, k, v]) x.dispose();
    } finally {
      Object.assign(shaders, { "attention-matrix": own });
    }
  });
});

/** The shader with its matrix units spelt out: every lane holds whole operands, and 32 of them own eight sums each. */
function withoutMatrixUnits(source: string): string {
  return source
    .replace(/^(enable chromium|diagnostic).*$/gm, "")
    .replace(/^alias (Left|Right) = .*$/gm, "alias $1 = array<f16, 256>;")
    .replace(/^alias Sum = .*$/gm, "alias Sum = array<f32, 8>;")
    .replace(/subgroupMatrixLoad<\w+>\(&(\w+), (.+), (false|true), (\w+)\);/g, "load_$1($2, $3, $4);")
    .replace(/subgroupMatrixMultiplyAccumulate\(/g, "multiplyBlocks(t % 32u, ")
    .replace(/subgroupMatrixStore\(&sums, (.+), (\w+), false, (\w+)\);/g, "storeBlock(t % 32u, $1, $2, $3);")
    .concat(
      ...["tile", "weights"].map(
        (memory) => `
      fn load_${memory}(at: u32, turned: bool, stride: u32) -> array<f16, 256> {
        var block: array<f16, 256>;
        for (var i = 0u; i < p.heads * 128u; i++) { // a bound the compiler does not unroll
          block[i] = ${memory}[at + select(i / 16u * stride + i % 16u, i % 16u * stride + i / 16u, turned)];
        }
        return block;
      }`,
      ),
      `
      fn multiplyBlocks(lane: u32, l: Left, r: Right, sum: Sum) -> Sum {
        var left = l;
        var right = r;
        var result = sum;
        for (var e = 0u; e < p.heads * 4u; e++) {
          let i = lane * 8u + e;
          for (var k = 0u; k < p.heads * 8u; k++) {
            result[e] += f32(left[i / 16u * 16u + k]) * f32(right[k * 16u + i % 16u]);
          }
        }
        return result;
      }
      fn storeBlock(lane: u32, at: u32, sum: Sum, stride: u32) {
        var block = sum;
        for (var e = 0u; e < p.heads * 4u; e++) {
          let i = lane * 8u + e;
          sums[at + i / 16u * stride + i % 16u] = block[e];
        }
      }`,
    );
}
