import { describe, expect, it } from "vitest";
import { attention, temporalAttention, type AttentionWay, type Columns } from "../../kernels/attention.js";
import type { Device } from "../../src/gpu/device.js";
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
