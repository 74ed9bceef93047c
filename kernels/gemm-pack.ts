// Packing of PyTorch's weights into the order in which the products read them.

import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

/** Columns of a panel of packed weights: those that one subgroup computes. */
function panelOf(outputs: number): number {
  return outputs <= 8 ? 8 : outputs <= 16 ? 16 : 32;
}

/**
 * Raw weights `[N_i, K, taps…]` (f32 or f16), side by side along N, as panels `[panels, taps, K to a multiple of 8, panel]`.
 * f16 panels hold pairs of inputs in one word, whether or not the adapter computes in f16.
 * @throws Error where a tensor exceeds the adapter's largest binding
 */
export function packGemm(raw: readonly Tensor[], dtype: "f32" | "f16", geglu: boolean, label: string): Tensor {
  const [, inputs = 1, ...kernel] = raw[0]!.shape;
  const taps = kernel.reduce((n, d) => n * d, 1);
  const outputs = raw.reduce((n, r) => n + r.shape[0]!, 0);
  const packed = panels(raw[0]!, outputs, inputs, taps, dtype, label);
  let first = 0;
  for (const r of raw) {
    const own = r.shape[0]!;
    const last = first + own === outputs;
    write(r, packed, { outputs: own, inputs, first, last, geglu, strides: [inputs * taps, taps] });
    first += own;
  }
  return packed;
}

/** A matrix `[K, N]`, the second operand of a plain product, in the same panels and its own dtype. */
export function packMatrix(b: Tensor, label: string): Tensor {
  const [inputs, outputs] = b.shape as [number, number];
  const packed = panels(b, outputs, inputs, 1, b.dtype as "f32" | "f16", label);
  write(b, packed, { outputs, inputs, first: 0, last: true, geglu: false, strides: [1, outputs] });
  return packed;
}

/** Room for the panels. */
function panels(
  raw: Tensor,
  outputs: number,
  inputs: number,
  taps: number,
  dtype: "f32" | "f16",
  label: string,
): Tensor {
  const panel = panelOf(outputs);
  const shape = [Math.ceil(outputs / panel), taps, Math.ceil(inputs / 8) * 8, panel];
  const packed = Tensor.empty(raw.device, shape, dtype, label);
  const { maxBinding } = raw.device.capabilities;
  for (const t of [raw, packed])
    if (t.bytes > maxBinding)
      throw new Error(
        `${label}: ${String(t)} exceeds the adapter's largest binding of ${maxBinding} bytes; load the weights as f16 (--weights f16)`,
      );
  return packed;
}

interface Part {
  readonly outputs: number;
  readonly inputs: number;
  /** Column of its first output. */
  readonly first: number;
  /** Pads the last panel with zeros. */
  readonly last: boolean;
  readonly geglu: boolean;
  /** Elements from one output, and from one input, to the next. */
  readonly strides: readonly [number, number];
}

function write(raw: Tensor, packed: Tensor, part: Part): void {
  const [count, taps, padded, panel] = packed.shape as [number, number, number, number];
  const { maxWorkgroups } = raw.device.capabilities;
  const columns = part.last ? count * panel - part.first : part.outputs;
  const depth = (taps * padded) / (packed.dtype === "f16" ? 2 : 1);
  const y = Math.min(depth, maxWorkgroups);
  const flags = [raw.dtype === "f16", packed.dtype === "f16", part.geglu].map(Number);
  raw.device.dispatch({
    label: `pack ${packed.label}`,
    code: shaders["gemm-pack"],
    bindings: [raw.binding(), packed.binding()],
    params: [part.outputs, part.inputs, taps, padded, panel, part.first, columns, ...flags, ...part.strides],
    workgroups: [Math.ceil(columns / 64), y, Math.ceil(depth / y)],
    flops: 0,
    bytes: raw.bytes + packed.bytes,
  });
}
