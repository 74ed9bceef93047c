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
 */
export function packGemm(raw: readonly Tensor[], dtype: "f32" | "f16", geglu: boolean, label: string): Tensor {
  const { device } = raw[0]!;
  const outputs = raw.reduce((n, r) => n + r.shape[0]!, 0);
  const inputs = raw[0]!.shape[1]!;
  const taps = raw[0]!.shape.slice(2).reduce((n, d) => n * d, 1);
  const panel = panelOf(outputs);
  const padded = Math.ceil(inputs / 8) * 8;
  const columns = Math.ceil(outputs / panel) * panel;
  const packed = Tensor.empty(device, [columns / panel, taps, padded, panel], dtype, label);
  for (const t of [...raw, packed])
    if (t.bytes > device.capabilities.maxBinding)
      throw new Error(
        `${label}: ${String(t)} exceeds the adapter's largest binding of ${device.capabilities.maxBinding} bytes; load the weights as f16`,
      );
  let first = 0;
  raw.forEach((r, i) => {
    const own = r.shape[0]!;
    const count = i === raw.length - 1 ? columns - first : own;
    const depth = (taps * padded) / (dtype === "f16" ? 2 : 1);
    device.dispatch({
      label: `pack ${label}`,
      code: shaders["gemm-pack"],
      bindings: [r.binding(), packed.binding()],
      params: [
        own,
        inputs,
        taps,
        padded,
        panel,
        first,
        count,
        Number(r.dtype === "f16"),
        Number(dtype === "f16"),
        Number(geglu),
      ],
      workgroups: [Math.ceil(count / 64), depth, 1],
      flops: 0,
      bytes: r.bytes + packed.bytes,
    });
    first += own;
  });
  return packed;
}
