// Memory discipline for chains of layers: what a step used up is freed as soon as the step is recorded.

import type { Tensor } from "../tensor/tensor.js";

/** Runs `body` in a scope of its own and then frees `used`, tensors that nobody needs after this step. */
export function consume(used: readonly Tensor[], body: () => Tensor): Tensor {
  const y = used[0]!.device.scope(body);
  for (const t of used) if (t !== y) t.dispose();
  return y;
}
