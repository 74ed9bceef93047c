// Weights of 3 × 3 convolutions, transformed for winograd.ts before they are packed: on the device, or where they are still
// on the host of a software adapter, there.

import { decode, encode } from "../src/tensor/dtype.js";
import { dims4 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { specialize } from "../src/gpu/wgsl.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { SIDE } from "./winograd.js";

/**
 * G g Gᵀ of each kernel of `raw` `[outputs, inputs, 3, 3]` (f32 or f16): `[outputs, inputs, side, side]`, side 4, or 3 for
 * an input that is doubled. f32; f16 where it was made on the host of f16 and `dtype` is f16.
 * @throws Error for kernels of another size
 */
export function transformWeight(raw: Tensor, form: "winograd" | "doubled", dtype: "f32" | "f16"): Tensor {
  const [outputs, inputs, kh, kw] = dims4(raw, "transformWeight: weight");
  if (kh !== 3 || kw !== 3)
    throw new Error(`transformWeight: expected kernels of 3 × 3, got ${String(raw)}; pack it as form "direct"`);
  const { device } = raw;
  const side = SIDE[form];
  const shape = [outputs, inputs, side, side];
  const host = device.capabilities.kind === "cpu" && raw.dtype === dtype ? raw.hostBytes : undefined;
  if (host) return Tensor.fromBytes(device, transformOnHost(host, dtype, form), shape, dtype, raw.label);
  const u = Tensor.empty(device, shape, "f32", raw.label);
  device.dispatch({
    label: `transform ${raw.label}`,
    code: specialize(
      shaders["winograd-weight"],
      form === "doubled" ? { SIDE: "3u", spread: shaders["lib/winograd-spread-doubled"] } : {},
    ),
    bindings: [raw.binding(), u.binding()],
    params: [outputs * inputs, Number(raw.dtype === "f16")],
    workgroups: grid(Math.ceil((outputs * inputs) / 64), device.capabilities),
    flops: 0,
    bytes: raw.bytes + u.bytes,
  });
  return u;
}

/** What winograd-weight.wgsl makes, rounded to `dtype`. */
export function transformOnHost(
  values: Uint8Array,
  dtype: "f32" | "f16",
  form: "winograd" | "doubled",
): Uint8Array<ArrayBuffer> {
  const side = SIDE[form];
  const g = decode(values.slice().buffer, dtype);
  const kernels = g.length / 9;
  const u = new Float32Array(kernels * side * side);
  const rows = new Float32Array(3 * side); // G g
  const f = Math.fround;
  const spread = (a: number, b: number, c: number, to: Float32Array, at: number, step: number): void => {
    const outer = f(a + c);
    to[at] = a;
    to[at + step] = form === "doubled" ? outer + b : (outer + b) * 0.5;
    if (form === "winograd") to[at + 2 * step] = (outer - b) * 0.5;
    to[at + (side - 1) * step] = c;
  };
  for (let k = 0; k < kernels; k++) {
    for (let j = 0; j < 3; j++) spread(g[9 * k + j]!, g[9 * k + 3 + j]!, g[9 * k + 6 + j]!, rows, j, 3);
    for (let i = 0; i < side; i++)
      spread(rows[3 * i]!, rows[3 * i + 1]!, rows[3 * i + 2]!, u, (k * side + i) * side, 1);
  }
  return dtype === "f32" ? new Uint8Array(u.buffer) : encode(u, "f16");
}
