import { describe, expect, it } from "vitest";
import { groupNorm, type GroupNormOptions } from "../../kernels/group-norm.js";
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
      const run = () =>
        groupNorm(x!, { groups: 4, eps: 1e-5, weight: weight!, bias: bias!, x2, framesJointly, variant: "cpu" });
      using whole = run();
      const before = device.counts.dispatches;
      using sliced = withLimits(device, { maxBinding }, run);
      expect(device.counts.dispatches - before).toBeGreaterThan(5);
      expectClose(await sliced.read(), await whole.read(), 1e-6);
      for (const t of [x, x2, weight, bias]) t!.dispose();
    },
  );

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
