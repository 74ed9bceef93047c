// ResnetBlock2D: two convolutions with GroupNorm and SiLU before each, the timestep's projection added between them.
// Shared by the UNet (with timestep) and the VAE (without).

import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import type { Tensor } from "../../tensor/tensor.js";

export interface ResnetConfig {
  readonly inputs: number;
  readonly outputs: number;
  readonly groups: number;
  readonly eps: number;
  /** Width of the timestep embedding; absent in the VAE. */
  readonly timeChannels?: number;
}

/** diffusers ResnetBlock2D. */
export class ResnetBlock2D {
  readonly #norm1: GroupNorm;
  readonly #conv1: Conv2d;
  readonly #time: Linear | undefined;
  readonly #norm2: GroupNorm;
  readonly #conv2: Conv2d;
  readonly #shortcut: Linear | undefined;

  constructor(w: Weights, { inputs, outputs, groups, eps, timeChannels }: ResnetConfig) {
    this.#norm1 = new GroupNorm(w.at("norm1"), groups, inputs, eps);
    this.#conv1 = new Conv2d(w.at("conv1"), inputs, outputs);
    this.#time = timeChannels === undefined ? undefined : new Linear(w.at("time_emb_proj"), timeChannels, outputs);
    this.#norm2 = new GroupNorm(w.at("norm2"), groups, outputs, eps);
    this.#conv2 = new Conv2d(w.at("conv2"), outputs, outputs);
    this.#shortcut = inputs === outputs ? undefined : new Linear(w.at("conv_shortcut"), inputs, outputs, { conv: true });
  }

  /**
   * `x [f, h, w, c]`, with `skip [f, h, w, c']` as if concatenated after its channels; `time [b, timeChannels]` is the
   * embedding after SiLU, each row for f/b frames.
   */
  forward(x: Tensor, time?: Tensor, skip?: Tensor): Tensor {
    return x.device.scope(() => {
      const second = skip ? { x2: skip } : {};
      const rowBias = this.#time && time ? { rowBias: this.#time.forward(time) } : {};
      const normed = this.#norm1.forward(x, { activation: "silu", ...second });
      const h = consume([normed], () => this.#conv1.forward(normed, rowBias));
      const y = consume([h], () => this.#norm2.forward(h, { activation: "silu" }));
      const residual = this.#shortcut ? this.#shortcut.forward(x, second) : x;
      return this.#conv2.forward(y, { residual });
    });
  }
}
