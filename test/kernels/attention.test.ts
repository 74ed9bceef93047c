import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { attention, temporalAttention, type Columns } from "../../kernels/attention.js";
import { fromHalfBits } from "../../src/tensor/dtype.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, F16_TOLERANCE, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";

/** The dump of test/reference/kernels_attention.py: inputs f16, results f32. */
const file = readFileSync(new URL("../reference/fixtures/kernels-attention.safetensors", import.meta.url));
const headerBytes = Number(file.readBigUInt64LE(0));
const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Record<
  string,
  { dtype: string; shape: number[]; data_offsets: [number, number] }
>;
function stored(name: string): { values: Float32Array; shape: number[] } {
  const {
    dtype,
    shape,
    data_offsets: [from, to],
  } = header[name]!;
  const bytes = Uint8Array.from(file.subarray(8 + headerBytes + from, 8 + headerBytes + to)).buffer;
  return {
    shape,
    values: dtype === "F16" ? Float32Array.from(new Uint16Array(bytes), fromHalfBits) : new Float32Array(bytes),
  };
}

const spatial = {
  self: [2, 40],
  cross: [1, 16],
  causal: [3, 8],
  one: [1, 20],
  steep: [1, 64],
  wide: [1, 512],
} as const;

describe.each(["f32", "f16"] as const)("attention, %s", (dtype) => {
  it.each(Object.entries(spatial))("agrees with torch: %s", async (name, [heads, headDim]) => {
    const device = await testDevice();
    const expected = stored(`${name}.y`);
    let keys = 0;
    using y = device.scope(() => {
      const [q, k, v] = ["q", "k", "v"].map((x) => {
        const { values, shape } = stored(`${name}.${x}`);
        return Tensor.from(device, values, shape, dtype, x);
      }) as [Tensor, Tensor, Tensor];
      keys = k.shape[1]!;
      return attention(q, k, v, {
        heads,
        headDim,
        causal: name === "causal",
        ...(name === "wide" ? { scale: 0.05 } : {}),
      });
    });
    expect(y.shape).toEqual(expected.shape);
    expectClose(await y.read(), expected.values, dtype === "f32" ? f32Tolerance(headDim + keys) : F16_TOLERANCE);
  });

  it.each([
    ["frames16", 16, 2, 8],
    ["frames5", 5, 1, 12],
    ["frames33", 33, 1, 16],
  ] as const)("over frames agrees with torch: %s", async (name, frames, heads, headDim) => {
    const device = await testDevice();
    const qkv = stored(`${name}.qkv`);
    using x = Tensor.from(device, qkv.values, qkv.shape, dtype, "qkv");
    const column = (i: number): Columns => ({ tensor: x, start: i * heads * headDim });
    using y = temporalAttention(column(0), column(1), column(2), { heads, headDim, frames });
    expectClose(
      await y.read(),
      stored(`${name}.y`).values,
      dtype === "f32" ? f32Tolerance(headDim + frames) : F16_TOLERANCE,
    );
  });
});
