import { describe, expect, it } from "vitest";
import { layerNorm } from "../../kernels/layer-norm.js";
import { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-norms");
const put = (device: Device, name: string, dtype: "f32" | "f16" = "f32") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const combinations = (["plain", "cpu", "gpu"] as const).flatMap((v) =>
  (["f32", "f16"] as const).map((d) => [v, d] as const),
);

describe.each(combinations)("layerNorm, %s, %s", (variant, dtype) => {
  it.each(["plain", "row", "odd", "tiny", "added", "offset"])("agrees with torch: %s", async (name) => {
    const device = await testDevice();
    const expected = stored(`layer.${name}.y`);
    using y = device.scope(() =>
      layerNorm(put(device, `layer.${name}.x`, dtype), {
        eps: 1e-5,
        weight: put(device, `layer.${name}.w`),
        bias: put(device, `layer.${name}.b`),
        ...(name === "added" ? { add: put(device, "layer.added.add"), addIndex: { rows: 5 } } : {}),
        variant,
      }),
    );
    expect(y.shape).toEqual(expected.shape);
    // A mean of 1000 known to 24 bits leaves 3e-5 of the deviation of 2.
    expectClose(
      await y.read(),
      expected.values,
      dtype === "f16" ? F16_TOLERANCE : name === "offset" ? 5e-5 : f32Tolerance(64),
    );
  });
});

describe("layerNorm", () => {
  it.each(["plain", "cpu", "gpu"] as const)("sums without subgroups, and in slices: %s", async (variant) => {
    const device = await testDevice();
    const values = Float32Array.from({ length: 601 * 40 }, (_, i) => Math.sin(i * 12.9898) * 1.5 + 0.3);
    using x = Tensor.from(device, values, [601, 40]);
    using w = Tensor.from(device, values.slice(0, 40), [40]);
    using add = Tensor.from(device, values.slice(40, 160), [3, 40]);
    const run = () => layerNorm(x, { eps: 1e-5, weight: w, bias: w, add, addIndex: { rows: 50 }, variant });
    using whole = run();
    using other = withLimits(device, { subgroups: false, maxBinding: 256 * 160, maxWorkgroups: 7 }, run);
    expectClose(await other.read(), await whole.read(), 1e-6);
  });

  it("names what does not fit", async () => {
    const device = await testDevice();
    using x = Tensor.from(device, new Float32Array(12), [3, 4], "f32", "x");
    using w = Tensor.from(device, new Float32Array(3), [3], "f32", "w");
    expect(() => layerNorm(x, { eps: 1e-5, weight: w, bias: w })).toThrow(
      'layerNorm: weight: expected shape [4], got f32[3] "w"',
    );
  });
});
