// Linear layers: y = activation(x · Wᵀ + bias + row bias) + residual, over the last dimension.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims2, expectShape, rowsOf } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { ACTIVATIONS, type Activation } from "./elementwise.js";
import { pack } from "./pack.js";
import { rowSlices } from "./slices.js";

/** Weights in the order the kernel reads them. */
export interface PackedLinear {
  readonly weight: Tensor;
  readonly inputs: number;
  /** Raw outputs: for GEGLU both halves. */
  readonly outputs: number;
  readonly geglu: boolean;
}

export interface LinearOptions {
  /** f32 `[outputs]`, in the checkpoint's order. */
  readonly bias?: Tensor | undefined;
  readonly activation?: Activation | undefined;
  /** `[…, outputs]`, added last. */
  readonly residual?: Tensor | undefined;
  /** A second source whose channels follow x's, as if concatenated. */
  readonly x2?: Tensor | undefined;
  /** `[groups, outputs]`: row r gets entry `floor(r / (rows / groups))`, before the activation. */
  readonly rowBias?: Tensor | undefined;
  readonly label?: string;
}

/**
 * Packs weights `[N_i, K]` (f32 or f16), joined along N, to be stored as `dtype` (default the source's). `geglu` puts the
 * halves of diffusers' GEGLU side by side. @throws Error where their widths differ
 */
export function packLinear(
  weights: Tensor | readonly Tensor[],
  { dtype, geglu = false, label = "linear" }: { readonly dtype?: "f32" | "f16"; readonly geglu?: boolean; readonly label?: string } = {},
): PackedLinear {
  const sources = weights instanceof Tensor ? [weights] : weights;
  const [, inputs] = dims2(sources[0]!, "packLinear: weight");
  for (const s of sources) expectShape(s, [dims2(s, "packLinear: weight")[0], inputs], "packLinear: weight");
  const outputs = sources.reduce((n, s) => n + s.shape[0]!, 0);
  if (geglu && (sources.length > 1 || outputs % 8 !== 0)) throw new Error(`packLinear: GEGLU takes one weight whose outputs are a multiple of 8, got ${sources.map(String).join(", ")}`);
  const weight = pack({ sources, outputs, inputs, taps: 1, dtype: dtype ?? (sources[0]!.dtype as "f32" | "f16"), geglu, label });
  return { weight, inputs, outputs, geglu };
}

/** WGSL type of four weights. */
export function weightType(weight: Tensor): string {
  return `vec4<${weight.dtype}>`;
}

/**
 * `x […, K] → […, N]`, or `[…, N / 2]` for GEGLU, in x's dtype with f32 accumulation (torch.nn.functional.linear).
 * @throws Error where the operands do not fit
 */
export function linear(x: Tensor, w: PackedLinear, options: LinearOptions = {}): Tensor {
  const { bias, activation = "none", residual, x2, rowBias, label = "linear" } = options;
  const { device, dtype } = x;
  const [rows, inputs] = rowsOf(x);
  const inputs2 = x2?.shape.at(-1) ?? 0;
  if (inputs + inputs2 !== w.inputs)
    throw new Error(`linear: ${String(x)}${x2 ? ` and ${String(x2)}` : ""} have ${inputs + inputs2} channels, the weight ${String(w.weight)} takes ${w.inputs}`);
  const columns = w.geglu ? w.outputs / 2 : w.outputs;
  const shape = [...x.shape.slice(0, -1), columns];
  if (x2) expectShape(x2, [...x.shape.slice(0, -1), inputs2], "linear: x2");
  if (bias) expectShape(bias, [w.outputs], "linear: bias");
  if (residual) expectShape(residual, shape, "linear: residual");
  for (const t of [x2, residual, rowBias]) if (t && t.dtype !== dtype) throw new Error(`linear: ${String(t)} must have the dtype of ${String(x)}`);
  if (w.geglu && (residual || x2 || rowBias || activation !== "none")) throw new Error("linear: GEGLU takes no activation, residual, row bias or second source");
  const groups = rowBias?.shape[0] ?? 1;
  if (rowBias) expectShape(rowBias, [groups, columns], "linear: rowBias");
  if (rows % groups !== 0) throw new Error(`linear: ${rows} rows of ${String(x)} do not divide among the ${groups} rows of ${String(rowBias)}`);

  const y = Tensor.empty(device, shape, dtype, label);
  const size = bytesPerElement(dtype);
  const columnBlocks = Math.ceil(columns / 4);
  const flags = (bias ? 1 : 0) | (residual ? 2 : 0) | (rowBias ? 4 : 0);
  const code = specialize(w.geglu ? shaders["linear-geglu"] : shaders.linear, {
    T: dtype,
    W4: weightType(w.weight),
    activate: shaders["lib/activations"],
  });
  const perThread = w.geglu ? 4 : 8;
  for (const { first, count } of rowSlices(rows, Math.max(inputs, inputs2, columns) * size, device.capabilities)) {
    const range = (t: Tensor | undefined, width: number) => (t ? t.binding(first * width * size, count * width * size) : x.binding(0, 16));
    const common = [range(x, inputs), ...(w.geglu ? [] : [range(x2, inputs2)]), w.weight.binding(), (bias ?? w.weight).binding(0, bias?.bytes ?? 16)];
    device.dispatch({
      label,
      code,
      bindings: w.geglu ? [...common, range(y, columns)] : [...common, (rowBias ?? x).binding(0, rowBias?.bytes ?? 16), range(residual, columns), range(y, columns)],
      params: w.geglu
        ? [count, inputs, columns, columnBlocks, flags]
        : [count, inputs, inputs2, columns, columnBlocks, ACTIVATIONS[activation], flags, rows / groups, first],
      workgroups: [Math.ceil(columnBlocks / 8), Math.ceil(count / (8 * perThread)), 1],
      flops: 2 * count * w.inputs * w.outputs,
      bytes: count * (w.inputs + columns * (residual ? 2 : 1)) * size + w.weight.bytes,
    });
  }
  return y;
}
