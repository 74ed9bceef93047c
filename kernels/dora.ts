// DoRA's rescaling of a changed weight, as a difference that adds up with other changes.

import { shapeText } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";

/**
 * `magnitude · v / ‖v‖ − base`, f32 in the weight's shape `[out, in, …kernel]`; norms per output (peft, LyCORIS's first
 * layout `[out, 1…]`) or per input (`[1, in, 1…]`).
 * @throws Error where an operand is not f32 or does not fit
 */
export function dora(v: Tensor, magnitude: Tensor, base: Tensor, per: "output" | "input"): Tensor {
  const { device } = v;
  const [out = 0, inputs = 1] = v.shape;
  const row = v.size / out;
  const slots = per === "output" ? out : inputs;
  for (const x of [v, magnitude, base]) if (x.dtype !== "f32") throw new Error(`dora: ${String(x)} must be f32`);
  if (base.size !== v.size || magnitude.size !== slots)
    throw new Error(
      `dora: expected ${slots} magnitudes and a base ${shapeText(v.shape)}, got ${String(magnitude)} and ${String(base)}`,
    );
  const y = Tensor.empty(device, v.shape, "f32", "DoRA");
  device.dispatch({
    label: "dora",
    code: shaders.dora,
    bindings: [v.binding(), magnitude.binding(), base.binding(), y.binding()],
    params: [row, per === "output" ? row : row / inputs, v.size / slots, slots],
    workgroups: grid(slots, device.capabilities),
    flops: 4 * v.size,
    bytes: 16 * v.size,
  });
  return y;
}
