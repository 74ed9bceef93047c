// Linear layers: y = act(x Wᵀ + bias + rowBias) + residual, or diffusers' GEGLU. Weights are packed once, at load. The
// product itself is `gemm`, a convolution with a 1×1 kernel over single pixels.

import { rowsOf, sameShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { Activation } from "./elementwise.js";
import { gemm, type GemmWay } from "./gemm.js";
import { packGemm } from "./gemm-pack.js";

/** Weights of `linear`, in the order in which the kernels read them. */
export interface PackedLinear {
  /** `[panels, 1, inputs padded, columns of a panel]` */
  readonly weight: Tensor;
  readonly inputs: number;
  readonly outputs: number;
  /** Outputs come in pairs of value and gate, half as many in the result. */
  readonly geglu: boolean;
}

/**
 * Packs PyTorch's weights `[N_i, K]` (f32 or f16), several ones side by side along N (q, k and v).
 * `dtype` is that in memory (default: the first tensor's); f16 does not need an adapter that computes in f16. `geglu`:
 * the first half of the outputs are values, the second half gates.
 * @throws Error where shapes or dtypes do not fit
 */
export function packLinear(
  weights: Tensor | readonly Tensor[],
  options: { readonly dtype?: "f32" | "f16"; readonly geglu?: boolean; readonly label?: string } = {},
): PackedLinear {
  const raw = weights instanceof Tensor ? [weights] : weights;
  const [first] = raw;
  const { geglu = false } = options;
  if (!first) throw new Error("packLinear: expected at least one weight");
  const inputs = first.shape[1] ?? 0;
  for (const r of raw)
    if (r.shape.length !== 2 || r.shape[1] !== inputs || inputs < 1 || (r.dtype !== "f32" && r.dtype !== "f16"))
      throw new Error(`packLinear: expected f32 or f16 weights [outputs, ${inputs}], got ${String(r)}`);
  const outputs = raw.reduce((n, r) => n + r.shape[0]!, 0);
  if (geglu && (raw.length !== 1 || outputs % 2 !== 0))
    throw new Error(
      `packLinear: GEGLU takes one weight with an even number of outputs, got ${raw.map(String).join(", ")}`,
    );
  const label = options.label ?? first.label;
  return {
    weight: packGemm(raw, options.dtype ?? (first.dtype as "f32" | "f16"), geglu, label),
    inputs,
    outputs,
    geglu,
  };
}

export interface LinearOptions {
  /** f32 `[N]`, in PyTorch's order. */
  readonly bias?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  /** Added last; the result's shape and dtype. */
  readonly residual?: Tensor | undefined;
  /** A second source, as if its channels were concatenated after x's. */
  readonly x2?: Tensor | undefined;
  /** `[G, N]` of x's dtype, added before the activation: row r takes entry floor(r / (rows / G)). */
  readonly rowBias?: Tensor | undefined;
  readonly label?: string | undefined;
  /** Forces a variant; for tests. @internal */
  readonly variant?: GemmWay | undefined;
}

/**
 * `x [..., K] → [..., N]` (`[..., N/2]` for GEGLU), in x's dtype, accumulated in f32 (torch.nn.functional.linear).
 * @throws Error naming both operands where shapes or dtypes do not fit
 */
export function linear(x: Tensor, w: PackedLinear, options: LinearOptions = {}): Tensor {
  const { bias, residual, x2, rowBias, activation, label = "linear", variant } = options;
  const [rows, channels] = rowsOf(x);
  const width = w.geglu ? w.outputs / 2 : w.outputs;
  const shape = [...x.shape.slice(0, -1), width];
  if (x.dtype !== "f32" && x.dtype !== "f16") throw new Error(`linear: expected x in f32 or f16, got ${String(x)}`);
  if (x2 && (x2.dtype !== x.dtype || rowsOf(x2)[0] !== rows))
    throw new Error(`linear: x2 ${String(x2)} does not go with x ${String(x)}: dtype and leading sizes must be equal`);
  if (channels + (x2?.shape.at(-1) ?? 0) !== w.inputs)
    throw new Error(
      `linear: ${String(x)}${x2 ? ` and ${String(x2)}` : ""} do not match the weight ${w.outputs} × ${w.inputs} "${w.weight.label}"`,
    );
  checkEpilogue("linear", x, w.outputs, shape, rows, w.weight.label, options);
  if (w.geglu && (rowBias || (activation ?? "none") !== "none"))
    throw new Error(`linear: GEGLU "${w.weight.label}" takes neither rowBias nor an activation`);
  const y = Tensor.empty(x.device, shape, x.dtype, label);
  const pixel = [1, 1] as const;
  gemm(
    x,
    w.weight,
    w.outputs,
    y,
    { frames: rows, source: pixel, input: pixel, output: pixel, kernel: pixel, stride: 1, top: 0, left: 0 },
    { x2, bias, rowBias, residual, activation, geglu: w.geglu, variant },
    label,
  );
  return y;
}

/** Checks what `linear` and `conv2d` add to their sums. `rows`: what the entries of rowBias divide. @internal */
export function checkEpilogue(
  op: string,
  x: Tensor,
  outputs: number,
  shape: readonly number[],
  rows: number,
  weight: string,
  { bias, residual, rowBias }: Pick<LinearOptions, "bias" | "residual" | "rowBias">,
): void {
  if (bias && (bias.dtype !== "f32" || !sameShape(bias.shape, [outputs])))
    throw new Error(`${op}: expected a bias f32[${outputs}] for the weight "${weight}", got ${String(bias)}`);
  if (residual && (residual.dtype !== x.dtype || !sameShape(residual.shape, shape)))
    throw new Error(`${op}: expected a residual ${x.dtype}[${shape.join(", ")}], got ${String(residual)}`);
  if (
    rowBias &&
    (rowBias.dtype !== x.dtype ||
      rowBias.shape.length !== 2 ||
      rowBias.shape[1] !== outputs ||
      rows % rowBias.shape[0]! !== 0)
  )
    throw new Error(`${op}: expected a rowBias ${x.dtype}[a divisor of ${rows}, ${outputs}], got ${String(rowBias)}`);
}
