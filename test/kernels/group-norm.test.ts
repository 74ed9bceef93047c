import { describe, expect, it } from "vitest";
import { groupNorm, groupNormInRows, type GroupNormOptions } from "../../kernels/group-norm.js";
import { threadRows } from "../../kernels/group-norm-cpu.js";
import { blockUnits } from "../../kernels/group-norm-gpu.js";
import { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-norms");
const put = (device: Device, name: string, dtype: "f32" | "f16" = "f32") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const cases: Record<string, Partial<GroupNormOptions> & { groups: number; tolerance?: number }> = {
  plain: { groups: 4 },
  single: { groups: 8 },
  silu: { groups: 8, activation: "silu", eps: 1e-6 },
  odd: { groups: 5 },
  joint: { groups: 4, framesJointly: 3 },
  two: { groups: 3, activation: "silu" },
  "two-odd": { groups: 2 },
  // A mean of 1000 known to 24 bits leaves 3e-5 of the deviation of 2.
  offset: { groups: 4, tolerance: 5e-5 },
};
const combinations = (["plain", "cpu", "gpu"] as const).flatMap((v) =>
  (["f32", "f16"] as const).map((d) => [v, d] as const),
);

describe.each(combinations)("groupNorm, %s, %s", (variant, dtype) => {
  it.each(Object.keys(cases))("agrees with torch: %s", async (name) => {
    const device = await testDevice();
    const { tolerance = f32Tolerance(400), ...options } = cases[name]!;
    const expected = stored(`group.${name}.y`);
    using y = device.scope(() => {
      const [weight, bias] = [put(device, `group.${name}.w`), put(device, `group.${name}.b`)];
      const x2 = name.startsWith("two") ? put(device, `group.${name}.x2`, dtype) : undefined;
      return groupNorm(put(device, `group.${name}.x`, dtype), { eps: 1e-5, weight, bias, x2, variant, ...options });
    });
    expect(y.shape).toEqual(expected.shape);
    expectClose(await y.read(), expected.values, dtype === "f32" ? tolerance : F16_TOLERANCE);
  });
});

describe("groupNorm", () => {
  const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 12.9898) * 1.5 + 0.3);

  it.each([
    ["several sets at a time", 6, 33, 8, 1, 4096],
    ["a set in runs of rows", 2, 700, 8, 1, 4096],
    ["frames of unaligned size", 3, 205, 12, 3, 4096],
  ])(
    "is the same in slices that fit small bindings: %s",
    async (_, frames, rows, channels, framesJointly, maxBinding) => {
      const device = await testDevice();
      const [x, x2] = [8, channels].map((c) => Tensor.from(device, values(frames * rows * c), [frames, rows, c]));
      const [weight, bias] = [values(8 + channels), values(8 + channels).toReversed()].map((v) =>
        Tensor.from(device, v, [v.length]),
      );
      const run = (variant: "cpu" | "gpu") =>
        groupNorm(x!, { groups: 4, eps: 1e-5, weight: weight!, bias: bias!, x2, framesJointly, variant });
      for (const variant of ["cpu", "gpu"] as const) {
        using whole = run(variant);
        const before = device.counts.dispatches;
        using sliced = withLimits(device, { maxBinding }, () => run(variant));
        expect(device.counts.dispatches - before).toBeGreaterThan(4);
        expectClose(await sliced.read(), await whole.read(), 1e-6);
      }
      for (const t of [x, x2, weight, bias]) t!.dispose();
    },
  );

  it.each([
    ["one source", 2, 130, [64], 32, 1],
    ["two sources with a group across their border", 2, 130, [64, 32], 32, 1],
    ["one channel a group, more groups than a block has", 1, 70, [160], 160, 1],
    ["a group as wide as the lanes of a workgroup", 2, 40, [256, 256], 2, 1],
    ["fewer rows than lanes", 3, 2, [40], 4, 1],
    ["a long clip, normalised as one", 12, 300, [24], 3, 12],
  ] as const)(
    "takes two dispatches (a source, on software adapters), and agrees with the plain kernel: %s",
    async (_, frames, rows, widths, groups, joint) => {
      const device = await testDevice();
      const [x, x2] = widths.map((c) => Tensor.from(device, values(frames * rows * c), [frames, rows, c]));
      const channels = widths.reduce<number>((a, c) => a + c, 0);
      const [weight, bias] = [values(channels), values(channels).toReversed()].map((v) =>
        Tensor.from(device, v, [v.length]),
      );
      const options = { groups, eps: 1e-5, weight: weight!, bias: bias!, x2, framesJointly: joint };
      using expected = groupNorm(x!, { ...options, variant: "plain" });
      for (const variant of ["cpu", "gpu"] as const) {
        const before = device.counts.dispatches;
        using y = groupNorm(x!, { ...options, variant });
        expect(device.counts.dispatches - before).toBe(variant === "cpu" && x2 ? 4 : 2);
        expectClose(await y.read(), await expected.read(), f32Tolerance(rows * joint));
      }
      for (const t of [x, x2, weight, bias]) t?.dispose();
    },
  );

  it("lays blocks of whole groups beside each other on a workgroup's lanes", () => {
    expect(blockUnits(10, 32, 4)).toBe(20); // 8 groups: 2 would do, but not fill 128 bytes
    expect(blockUnits(60, 32, 4)).toBe(30); // 2 groups
    expect(blockUnits(80, 32, 4)).toBe(20); // 1 group
    expect(blockUnits(2, 32, 4)).toBe(16); // all there are
    expect(blockUnits(5, 3, 1)).toBe(15);
    expect(blockUnits(1028, 1, 4)).toBeUndefined();
  });

  it("takes groups wider than a workgroup the other way", async () => {
    const device = await testDevice();
    using x = Tensor.from(device, values(2 * 3 * 1028), [2, 3, 1028]);
    using w = Tensor.from(device, values(1028), [1028]);
    const run = (variant: "plain" | "gpu") => groupNorm(x, { groups: 1, eps: 1e-5, weight: w, bias: w, variant });
    using expected = run("plain");
    using y = run("gpu");
    expectClose(await y.read(), await expected.read(), f32Tolerance(3 * 1028));
  });

  it.each(["cpu", "gpu"] as const)("is the same to the bit for some frames at a time, %s", async (variant) => {
    const device = await testDevice();
    const [rows, channels] = [37, 24];
    using x = Tensor.from(device, values(8 * rows * channels), [8, rows, channels]);
    using w = Tensor.from(device, values(channels), [channels]);
    const options = { groups: 3, eps: 1e-5, weight: w, bias: w, framesJointly: 4, variant };
    using whole = groupNorm(x, options);
    const expected = await whole.read();
    const normalise = groupNormInRows(x, options);
    for (const [start, count] of [
      [0, 4],
      [5, 2],
      [7, 1],
    ] as const) {
      const range = [start * rows * channels, (start + count) * rows * channels] as const;
      using some = Tensor.from(device, (await x.read()).slice(...range), [count, rows, channels]);
      using y = normalise(some, Math.floor(start / 4));
      expect(await y.read()).toEqual(expected.slice(...range));
    }
  });

  it("gives threads on software adapters rows enough, and no more than their sums take", () => {
    expect(threadRows(1024, 16 * 80)).toBe(640);
    expect(threadRows(16, 16)).toBe(16);
    expect(threadRows(2 ** 20, 640)).toBe(4096);
  });

  it("names what does not fit", async () => {
    const device = await testDevice();
    using x = Tensor.from(device, values(24), [2, 2, 6], "f32", "x");
    using w = Tensor.from(device, values(6), [6], "f32", "w");
    expect(() => groupNorm(x, { groups: 4, eps: 1e-5, weight: w, bias: w })).toThrow(
      'groupNorm: 6 channels of f32[2, 2, 6] "x" do not divide into 4 groups',
    );
    expect(() => groupNorm(x, { groups: 3, eps: 1e-5, weight: w, bias: w, framesJointly: 3 })).toThrow(
      "no multiple of the 3",
    );
    expect(() => groupNorm(x, { groups: 3, eps: 1e-5, weight: w, bias: w, x2: x })).toThrow(
      "groupNorm: weight: expected shape [12]",
    );
  });
});
