// Classifier-free guidance on the predicted noise.

import { Tensor } from "../src/tensor/tensor.js";
import { linearCombination } from "./linear-combination.js";

/**
 * u + g · (c − u) of the unconditional and conditional halves `[2·frames, h, w, c]` (Ho and Salimans 2022).
 * f32.
 */
export function guidance(eps: Tensor, scale: number): Tensor {
  const [n = 0, ...rest] = eps.shape;
  const { device } = eps;
  return device.scope(() => {
    const half = (i: number): Tensor => {
      const t = Tensor.empty(device, [n / 2, ...rest], eps.dtype, "guidance half");
      const from = eps.binding();
      device.copy({ ...from, offset: from.offset + i * t.bytes, size: t.bytes }, { ...t.binding(), size: t.bytes });
      return t;
    };
    return linearCombination(
      [
        [half(0), 1 - scale],
        [half(1), scale],
      ],
      "guidance",
    );
  });
}
