// LayerNorm over the last dimension, with a positional encoding added on request.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims2, expectShape, rowsOf } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";

export interface LayerNormOptions {
  readonly eps: number;
  /** f32 `[channels]` each. */
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** f32 `[entries, channels]`, added after the norm: a positional encoding. */
  readonly add?: Tensor | undefined;
  /** Row r gets entry `floor(r / rows) mod entries`: rows = positions of a frame, entries = frames. */
  readonly addIndex?: { readonly rows: number } | undefined;
  readonly label?: string;
}

/**
 * torch.nn.functional.layer_norm over `[…, channels]`.
 * @throws Error where the operands' shapes do not fit
 */
export function layerNorm(x: Tensor, { eps, weight, bias, add, addIndex, label = "layerNorm" }: LayerNormOptions): Tensor {
  const { device, dtype } = x;
  const [rows, channels] = rowsOf(x);
  expectShape(weight, [channels], "layerNorm: weight");
  expectShape(bias, [channels], "layerNorm: bias");
  if (add) expectShape(add, [dims2(add, "layerNorm: add")[0], channels], "layerNorm: add");
  const y = Tensor.empty(device, x.shape, dtype, label);
  const rowBytes = channels * bytesPerElement(dtype);
  for (const { first, count } of rowSlices(rows, rowBytes, device.capabilities)) {
    device.dispatch({
      label,
      code: specialize(shaders["layer-norm"], { T: dtype }),
      bindings: [
        x.binding(first * rowBytes, count * rowBytes),
        weight.binding(),
        bias.binding(),
        (add ?? bias).binding(),
        y.binding(first * rowBytes, count * rowBytes),
      ],
      params: [count, channels, add ? (addIndex?.rows ?? 1) : 0, add?.shape[0] ?? 1, f32Bits(eps), first],
      workgroups: grid(Math.ceil(count / 64), device.capabilities),
      flops: 8 * count * channels,
      bytes: 2 * count * rowBytes,
    });
  }
  return y;
}
