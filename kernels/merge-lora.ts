// Low-rank changes merged into raw weights: W + Σ scale · up · down (Hu et al. 2021), with Tucker's core where there is one
// (LyCORIS: up · mid · down). In f32 throughout; packing rounds the sum once.

import { elements, shapeText } from "../src/tensor/shape.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { cast } from "./elementwise.js";
import { permute } from "./latents.js";
import { linear, packLinear } from "./linear.js";

/** One low-rank change in PyTorch's layouts; convolutions may come flattened where their kernel is 1 × 1. f32 or f16. */
export interface LoraTerm {
  /** `[r, k…]`: the weight's inputs, and its kernel unless `mid` has it. */
  readonly down: Tensor;
  /** `[n, r, …]`: the weight's outputs. */
  readonly up: Tensor;
  /** `[r_up, r_down, kh, kw]`. */
  readonly mid?: Tensor | undefined;
  /** Strength · alpha / rank. */
  readonly scale: number;
}

/**
 * A raw weight `[n, k…]` (linear, 1 × 1 or larger convolution) with all `terms` added, f32 in the weight's shape.
 * @throws Error where a term's shapes do not fit the weight
 */
export function mergeLora(base: Tensor, terms: readonly LoraTerm[], label = `mergeLora ${base.label}`): Tensor {
  const n = base.shape[0] ?? 0;
  const k = base.size / n;
  return base.device.scope(() =>
    terms
      .reduce(
        (sum, { down, up, mid, scale }) => {
          const rank = up.size / n;
          const factor = mid
            ? core(down, mid, base, label)
            : asF32(down).reshape([down.shape[0] ?? 0, down.size / (down.shape[0] ?? 1)]);
          if (up.shape[0] !== n || up.shape[1] !== rank || factor.shape[0] !== rank || factor.shape[1] !== k)
            throw new Error(
              `${label}: up ${String(up)}, ${mid ? `mid ${String(mid)} ` : ""}and down ${String(down)} do not multiply to the shape of ${String(base)}`,
            );
          // down as the "weight" [k, r] of a linear layer whose rows are the outputs
          const packed = packLinear(permute(factor, [1, 0], { scale }), { dtype: "f32", label });
          return linear(asF32(up).reshape([n, rank]), packed, { residual: sum, label });
        },
        asF32(base).reshape([n, k]),
      )
      .reshape(base.shape),
  );
}

/** mid · down as `[r_up, c · taps]`: Σ_j mid[i, j, tap] · down[j, c]. */
function core(down: Tensor, mid: Tensor, base: Tensor, label: string): Tensor {
  const [up = 0, inner = 0, ...kernel] = mid.shape;
  const taps = elements(kernel);
  const c = down.size / inner;
  if (down.shape[0] !== inner || elements(base.shape.slice(2)) !== taps)
    throw new Error(
      `${label}: mid ${String(mid)} of kernel ${shapeText(kernel)} fits neither down ${String(down)} nor ${String(base)}`,
    );
  const rows = permute(asF32(mid).reshape([up, inner, taps]), [0, 2, 1]);
  const packed = packLinear(permute(asF32(down).reshape([inner, c]), [1, 0]), { dtype: "f32", label });
  const product = linear(rows.reshape([up * taps, inner]), packed, { label });
  return permute(product.reshape([up, taps, c]), [0, 2, 1]).reshape([up, c * taps]);
}

function asF32(x: Tensor): Tensor {
  return x.dtype === "f32" ? x : cast(x, "f32");
}
