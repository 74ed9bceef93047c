import { describe, expect, it } from "vitest";
import { attention, temporalAttention, type AttentionWay, type Columns } from "../../kernels/attention.js";
import { Device } from "../../src/gpu/device.js";
import { deviceDescriptor, type Capabilities } from "../../src/gpu/limits.js";
import { openDevice } from "../../src/gpu/open.js";
import { nodeGPU } from "../../src/node-device.js";
import { shaders } from "../../shaders/index.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { MINIMUM, testDevice } from "../support/device.js";
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
  /** What an H200 has. */
  const CORES = { kind: "gpu", subgroupMatrix: true, subgroupSize: 32, workgroupMemory: 49152 } as const;

  // This machine has none: Dawn's null backend validates and compiles, and runs nothing.
  const attend = (device: Device, headDim: number, variant: AttentionWay) =>
    device.scope(() => {
      const [q, k] = [70, 77].map((rows) => Tensor.empty(device, [2, rows, headDim], "f16", "room"));
      attention(q!, k!, k!, { heads: 1, headDim, variant });
    });

  it.each([40, 80])("has pipelines for heads of %i channels in 16 KiB of workgroup memory", async (headDim) => {
    const gpu = await nodeGPU(["backend=null"]);
    using device = await openDevice((await gpu.requestAdapter())!, { subgroups: true, subgroupSize: 32 });
    attend(device, headDim, "matrix");
    await expect(device.drain()).resolves.toBeUndefined();
    expect([...device.counts.codes].filter((c) => c.includes("subgroupMatrixMultiplyAccumulate"))).toHaveLength(1);
  });

  it("compiles in the sizes of a larger memory, without a warning", async () => {
    using dry = Device.dry(CORES);
    for (const headDim of [40, 80, 160])
      for (const way of ["matrix", "matrix/half"] as const) attend(dry, headDim, way);
    attend(dry, 40, "matrix/keys");
    expect(dry.counts.codes.size).toBe(7);
    const adapter = (await (await nodeGPU(["backend=null"])).requestAdapter())!;
    const raw = await adapter.requestDevice(deviceDescriptor(adapter));
    for (const code of dry.counts.codes) {
      const { messages } = await raw.createShaderModule({ code }).getCompilationInfo();
      expect(messages.map((m) => m.message)).toEqual([]);
    }
    raw.destroy();
  });

  it("comes first where an adapter has them and the result fits registers", () => {
    const sites = (capabilities: Partial<Capabilities>, dtype: "f32" | "f16", rows = 128, headDim = 40) => {
      using device = Device.dry({ ...CORES, ...capabilities });
      const trials = device.tuning.collect();
      device.scope(() => {
        const x = Tensor.empty(device, [1, rows, 2 * headDim], dtype, "x");
        attention(x, x, x, { heads: 2, headDim });
      });
      return [...trials.values()].map((t) => [...t.ways.keys()]);
    };
    const tiles = ["gpu", "gpu/half", "gpu/keys"];
    expect(sites({}, "f16")).toEqual([["matrix", "matrix/half", "matrix/keys", ...tiles]]);
    expect(sites({}, "f16", 64)).toEqual([["matrix/half", "matrix/keys", ...tiles]]);
    expect(sites({}, "f16", 128, 160)).toEqual([["matrix", "matrix/half", ...tiles]]);
    expect(sites({}, "f16", 128, 512)).toEqual([tiles]);
    expect(sites({}, "f16", 60)).toEqual([tiles]);
    expect(sites({}, "f32")).toEqual([tiles]);
    expect(sites({ subgroupSize: 0 }, "f16")).toEqual([tiles]);
    expect(sites({ workgroupMemory: 4096 }, "f16")).toEqual([tiles]);
  });

  /** The matrix variant with its units spelt out, in tiles of 16 keys, which a software adapter compiles the soonest. */
  const spelt = <T>(device: Device, body: () => T): T => {
    const own = shaders["attention-matrix"];
    Object.assign(shaders, { "attention-matrix": withoutMatrixUnits(own) });
    try {
      return withLimits(device, { workgroupMemory: 22528 }, body);
    } finally {
      Object.assign(shaders, { "attention-matrix": own });
    }
  };
  const waves = (n: number, step: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * step) * 2);

  // These tiles want more workgroup memory than WebGPU guarantees.
  it.skipIf(MINIMUM).each<[number, AttentionWay, boolean, number, number]>([
    [40, "matrix", false, 131, 39],
    [40, "matrix", true, 67, 70],
    [80, "matrix/half", false, 65, 33],
    [160, "matrix/half", false, 17, 35],
  ])(
    "computes the same with its matrix units spelt out: heads of %i channels, %s, causal: %s, %i rows, %i keys",
    async (headDim, variant, causal, rows, keys) => {
      const device = await testDevice();
      const [q, k, v] = [rows, keys, keys].map((n, i) =>
        Tensor.from(device, waves(2 * n * 2 * headDim, 1.3 + i), [2, n, 2 * headDim], "f16"),
      ) as [Tensor, Tensor, Tensor];
      const options = { heads: 2, headDim, causal };
      using expected = attention(q, k, v, { ...options, variant: "plain" });
      using y = spelt(device, () => attention(q, k, v, { ...options, variant }));
      expectClose(await y.read(), await expected.read(), F16_TOLERANCE);
      for (const x of [q, k, v]) x.dispose();
    },
  );

  it.skipIf(MINIMUM)("rescales its result where scores rise late, and cannot do without", async () => {
    const device = await testDevice();
    const [rows, keys, headDim] = [37, 40, 40];
    // A pattern of signs that two of three queries have, and keys the more the later their tile: scores rise by 29 or 58.
    const pattern = (i: number, n: number) => (i % 2 === 0 ? n : -n);
    const queries = waves(rows * headDim, 1.3).map((x, i) => x / 8 + pattern(i, Math.floor(i / headDim) % 3));
    const rising = waves(keys * headDim, 2.3).map((x, i) => x / 4 + pattern(i, Math.floor(i / headDim / 16)));
    using k = Tensor.from(device, rising, [1, keys, headDim], "f16");
    using v = Tensor.from(device, waves(keys * headDim, 3.3), [1, keys, headDim], "f16");
    const run = async (sequences: number, variant: AttentionWay) => {
      const all = Float32Array.from({ length: sequences * rows * headDim }, (_, i) => queries[i % queries.length]!);
      using q = Tensor.from(device, all, [sequences, rows, headDim], "f16");
      using y = spelt(device, () => attention(q, k, v, { heads: 1, headDim, scale: 0.5, variant }));
      return y.read();
    };
    const expected = await run(1, "plain");
    expectClose(await run(1, "matrix"), expected, F16_TOLERANCE);
    const without = await run(WITHOUT, "matrix");
    expect(expected.reduce((most, x, i) => Math.max(most, Math.abs(x - without[i]!)), 0)).toBeGreaterThan(0.1);
  });
});

/** For so many sequences the shader below does not rescale, which shows what that is good for. */
const WITHOUT = 3;

/**
 * The shader with its matrix units spelt out. A lane owns half a row of sums, and of left operands the whole row; right ones
 * are read where they lie when they are multiplied.
 */
function withoutMatrixUnits(source: string): string {
  return source
    .replace(/ \/\/ (unroll|registers)$/gm, "")
    .replace(/^(enable chromium|diagnostic.off, chromium).*$/gm, "")
    .replace(/^alias Left = .*$/m, "struct Left { a: vec4f, b: vec4f, c: vec4f, d: vec4f }")
    .replace(/^alias Right = .*$/m, "")
    .replace(/^alias Sum = .*$/m, "struct Sum { a: vec4f, b: vec4f }")
    .replace(/subgroupMatrixLoad<Left, row_major>\(&weights\[part\], ([^()]+), ROW\)/g, "loadLeft(t, $1)")
    .replace(/subgroupMatrixLoad<Right, \w+>\(&tile_[kv], ([^()]+), PITCH\)/g, "$1")
    .replace(/subgroupMatrixLoad<Sum, row_major>\(&scores\[part\], ([^()]+), ROW\)/g, "loadSum(t, $1)")
    .replace(/subgroupMatrixMultiplyAccumulate\(query/g, "multiplyKeys(t, query")
    .replace(/subgroupMatrixMultiplyAccumulate\(weights/g, "multiplyValues(t, weights")
    .replace(/subgroupMatrixStore<row_major>\(&scores\[part\], ([^()]+), ([^()]+), ROW\)/g, "storeSum(t, $1, $2)")
    .replace(/< ([A-Z][A-Z0-9/ ]*u?|2u); (\w\+\+)/g, "< ($1) * min(p.heads, 1u); $2") // bounds that no compiler unrolls
    .replace("(&exceeded) == 1u", `(&exceeded) == select(1u, 2u, p.sequences == ${WITHOUT}u)`).concat(`
      fn loadLeft(t: u32, at: u32) -> Left {
        let a = at + t % 32u / 2u * ROW;
        return Left(
          vec4f(weights[t / 32u][a]), vec4f(weights[t / 32u][a + 1u]),
          vec4f(weights[t / 32u][a + 2u]), vec4f(weights[t / 32u][a + 3u]),
        );
      }
      fn loadSum(t: u32, at: u32) -> Sum {
        let a = at + t % 32u / 2u * ROW + t % 2u * 2u;
        return Sum(scores[t / 32u][a], scores[t / 32u][a + 1u]);
      }
      fn storeSum(t: u32, at: u32, sum: Sum) {
        let a = at + t % 32u / 2u * ROW + t % 2u * 2u;
        scores[t / 32u][a] = sum.a;
        scores[t / 32u][a + 1u] = sum.b;
      }
      fn oneKey(l: Left, at: u32) -> f32 {
        return dot(l.a, vec4f(tile_k[at])) + dot(l.b, vec4f(tile_k[at + 1u]))
          + dot(l.c, vec4f(tile_k[at + 2u])) + dot(l.d, vec4f(tile_k[at + 3u]));
      }
      fn fourKeys(l: Left, at: u32) -> vec4f {
        return vec4f(oneKey(l, at), oneKey(l, at + PITCH), oneKey(l, at + 2u * PITCH), oneKey(l, at + 3u * PITCH));
      }
      fn multiplyKeys(t: u32, l: Left, right: u32, sum: Sum) -> Sum {
        let at = right + t % 2u * 8u * PITCH;
        return Sum(sum.a + fourKeys(l, at), sum.b + fourKeys(l, at + 4u * PITCH));
      }
      fn fourValues(l: vec4f, at: u32) -> vec4f {
        return l.x * vec4f(tile_v[at]) + l.y * vec4f(tile_v[at + PITCH])
          + l.z * vec4f(tile_v[at + 2u * PITCH]) + l.w * vec4f(tile_v[at + 3u * PITCH]);
      }
      fn allValues(l: Left, at: u32) -> vec4f {
        return fourValues(l.a, at) + fourValues(l.b, at + 4u * PITCH)
          + fourValues(l.c, at + 8u * PITCH) + fourValues(l.d, at + 12u * PITCH);
      }
      fn multiplyValues(t: u32, l: Left, right: u32, sum: Sum) -> Sum {
        let at = right + t % 2u * 2u;
        return Sum(sum.a + allValues(l, at), sum.b + allValues(l, at + 1u));
      }`);
}
