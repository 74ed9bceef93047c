import { describe, expect, it } from "vitest";
import type { AttentionVariant } from "../../kernels/attention-run.js";
import { attention, temporalAttention, type Columns } from "../../kernels/attention.js";
import type { Device } from "../../src/gpu/device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixture } from "../support/fixture.js";
import { withLimits } from "../support/limits.js";

const stored = fixture("kernels-attention");
const put = (device: Device, name: string, dtype: "f32" | "f16") =>
  Tensor.from(device, stored(name).values, stored(name).shape, dtype, name);

const variants: AttentionVariant[] = ["plain", "cpu"];
const combinations = variants.flatMap((v) => (["f32", "f16"] as const).map((x) => [v, x] as const));
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

  it.each(Object.entries(spatial))("agrees with torch: %s", async (name, [heads, headDim]) => {
    const device = await testDevice();
    const [q, k, v] = ["q", "k", "v"].map((x) => put(device, `${name}.${x}`, dtype)) as [Tensor, Tensor, Tensor];
    const scale = name === "wide" ? { scale: 0.05 } : {};
    using y = device.scope(() => attention(q, k, v, { heads, headDim, causal: name === "causal", ...scale, variant }));
    expect(y.shape).toEqual(stored(`${name}.y`).shape);
    expectClose(await y.read(), stored(`${name}.y`).values, tolerance(headDim + k.shape[1]!));
    for (const x of [q, k, v]) x.dispose();
  });

  it.each(Object.entries(temporal))("over frames agrees with torch: %s", async (name, [frames, heads, headDim]) => {
    const device = await testDevice();
    using qkv = put(device, `${name}.qkv`, dtype);
    const column = (i: number): Columns => ({ tensor: qkv, start: i * heads * headDim });
    using y = temporalAttention(column(0), column(1), column(2), { heads, headDim, frames, variant });
    expectClose(await y.read(), stored(`${name}.y`).values, tolerance(headDim + frames));
  });
});
