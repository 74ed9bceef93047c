// FeedForward of diffusers' transformer blocks: GEGLU to four times the width, and back.

import type { Tensor } from "../tensor/tensor.js";
import { Linear } from "./linear.js";
import { consume } from "./step.js";
import type { Weights } from "./weights.js";

/** `x + net.2(value · gelu(gate))` where value and gate are the halves of `net.0.proj`. */
export class FeedForward {
  readonly #in: Linear;
  readonly #out: Linear;

  constructor(w: Weights, channels: number) {
    this.#in = new Linear(w.at("net.0.proj"), channels, 8 * channels, { geglu: true });
    this.#out = new Linear(w.at("net.2"), 4 * channels, channels);
  }

  /** `x [..., c]` is used up; `residual` is added. */
  forward(x: Tensor, residual: Tensor): Tensor {
    const hidden = consume([x], () => this.#in.forward(x));
    return this.#out.forward(hidden, { residual });
  }
}
