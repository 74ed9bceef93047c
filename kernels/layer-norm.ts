// LayerNorm over the last dimension, with a positional encoding added on request.

import type { Capabilities } from "../src/gpu/limits.js";
import { f32Bits, specialize, type Replacements } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims2, expectShape, rowsOf } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";
import { units } from "./vectors.js";

export interface LayerNormOptions {
  readonly eps: number;
  /** f32 `[channels]` each. */
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** f32 `[entries, channels]`, added after the norm: a positional encoding. */
  readonly add?: Tensor | undefined;
  /** Row r gets entry `floor(r / rows) mod entries`: rows = positions of a frame, entries = frames. Default 1. */
  readonly addIndex?: { readonly rows: number } | undefined;
  readonly label?: string;
  /** Forces a variant, for tests and comparisons; default: by the adapter's kind. "plain" is the readable reference. */
  readonly variant?: "plain" | "cpu" | "gpu" | undefined;
}

/**
 * torch.nn.functional.layer_norm over `[…, channels]`.
 * @throws Error where the operands' shapes do not fit
 */
export function layerNorm(x: Tensor, options: LayerNormOptions): Tensor {
  const { eps, weight, bias, add, addIndex, label = "layerNorm" } = options;
  const { device, dtype } = x;
  const limits = device.capabilities;
  const [rows, channels] = rowsOf(x);
  expectShape(weight, [channels], "layerNorm: weight");
  expectShape(bias, [channels], "layerNorm: bias");
  if (add) expectShape(add, [dims2(add, "layerNorm: add")[0], channels], "layerNorm: add");
  const y = Tensor.empty(device, x.shape, dtype, label);
  const rowBytes = channels * bytesPerElement(dtype);
  // Rows that are no multiple of four channels occur in no published model: the plain kernel takes them.
  const variant = channels % 4 === 0 ? (options.variant ?? limits.kind) : "plain";
  const { lanes, teams, rowsEach, sum } = teamwork(variant === "plain" ? "cpu" : variant, limits);
  const code =
    variant === "plain"
      ? specialize(shaders["layer-norm"], { T: dtype })
      : specialize(shaders["layer-norm-wide"], {
          ...units(dtype, 4, limits),
          ...sum,
          LANES: `${lanes}u`,
          TEAMS: `${teams}u`,
          ROWS: `${rowsEach}u`,
        });
  for (const { first, count } of rowSlices(rows, rowBytes, limits)) {
    device.dispatch({
      label,
      code,
      bindings: [
        x.binding(first * rowBytes, count * rowBytes),
        weight.binding(),
        bias.binding(),
        (add ?? bias).binding(),
        y.binding(first * rowBytes, count * rowBytes),
      ],
      params: [
        count,
        variant === "plain" ? channels : channels / 4,
        add ? (addIndex?.rows ?? 1) : 0,
        add?.shape[0] ?? 1,
        f32Bits(eps),
        first,
      ],
      workgroups: grid(Math.ceil(count / (variant === "plain" ? 64 : teams * rowsEach)), limits),
      flops: 8 * count * channels,
      bytes: 2 * count * rowBytes,
    });
  }
  return y;
}

/** How threads share the rows, and how those of a row add up: within a subgroup where its size is known. */
function teamwork(
  kind: "cpu" | "gpu",
  { subgroups, subgroupSize }: Capabilities,
): { lanes: number; teams: number; rowsEach: number; sum: Replacements } {
  const known = subgroups && subgroupSize >= 4 && subgroupSize <= 64;
  const sum: Replacements = known ? { row_sum: shaders["lib/row-sum-subgroup"] } : {};
  if (kind === "cpu") return { lanes: known ? subgroupSize : 8, teams: 1, rowsEach: 4, sum };
  const lanes = known ? subgroupSize : 32;
  return { lanes, teams: 128 / lanes, rowsEach: known ? 2 : 1, sum };
}
