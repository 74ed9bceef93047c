// Packing of PyTorch's weights into the order in which the products read them: on the device, or for software adapters on
// the host.

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
  const host = raw[0]!.device.capabilities.kind === "cpu" ? hostValues(raw, dtype) : undefined;
  if (host) {
    packed.write(packOnHost(host, dtype, { outputs, inputs, geglu, shape: packed.shape }));
    return packed;
  }
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

/** Bytes of all of `raw`, end to end, where all are still on the host and are of the type that is wanted. */
function hostValues(raw: readonly Tensor[], dtype: "f32" | "f16"): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (const { dtype: stored, hostBytes } of raw) if (stored === dtype && hostBytes) parts.push(hostBytes);
  if (parts.length < raw.length) return undefined;
  if (parts.length === 1 && parts[0]!.byteOffset % 4 === 0) return parts[0];
  const all = new Uint8Array(parts.reduce((n, p) => n + p.byteLength, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.byteLength;
  }
  return all;
}

/**
 * The panels that gemm-pack.wgsl writes, word for word, of values `[outputs, inputs, taps]` of the same type: software
 * adapters take several times as long to move values about as the machine itself.
 */
export function packOnHost(
  values: Uint8Array,
  dtype: "f32" | "f16",
  of: { readonly outputs: number; readonly inputs: number; readonly geglu: boolean; readonly shape: readonly number[] },
): Uint8Array {
  const { outputs, inputs, geglu } = of;
  const [count, taps, padded, panel] = of.shape as [number, number, number, number];
  const step = dtype === "f16" ? 2 : 1; // values of a word
  // Where neighbouring inputs lie in one word of the source, words move whole.
  const whole = step === 1 || (taps === 1 && inputs % 2 === 0);
  const { buffer, byteOffset, byteLength } = values;
  const source = whole
    ? new Uint32Array(buffer, byteOffset, byteLength / 4)
    : new Uint16Array(buffer, byteOffset, byteLength / 2);
  const row = (byteLength / source.BYTES_PER_ELEMENT / outputs) | 0; // units of the source of one output
  const depth = (taps * padded) / step;
  const words = new Uint32Array(count * depth * panel);
  const bases = new Int32Array(panel);
  for (let p = 0; p < count; p++) {
    const columns = Math.min(panel, outputs - p * panel);
    for (let j = 0; j < columns; j++) {
      const n = p * panel + j;
      bases[j] = (geglu ? Math.floor(n / 2) + (n % 2) * (outputs / 2) : n) * row;
    }
    for (let c = 0; c < inputs; c += step)
      for (let tap = 0; tap < taps; tap++) {
        const out = (p * depth + (tap * padded + c) / step) * panel;
        const from = whole ? (c / step) * taps + tap : c * taps + tap;
        if (whole || c + 1 === inputs) for (let j = 0; j < columns; j++) words[out + j] = source[bases[j]! + from]!;
        else
          for (let j = 0; j < columns; j++) {
            const at = bases[j]! + from;
            words[out + j] = source[at]! | (source[at + taps]! << 16);
          }
      }
  }
  return new Uint8Array(words.buffer);
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
