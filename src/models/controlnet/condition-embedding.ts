// A ControlNet's first look at its picture: convolutions from pixels to the latents' size (diffusers
// ControlNetConditioningEmbedding), or one convolution where the condition has that size already (SparseCtrl's RGB kind).

import { Conv2d } from "../../nn/conv2d.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import type { Tensor } from "../../tensor/tensor.js";

/** `[frames, H, W, channels]` → `[frames, h, w, outputs]`. */
export class ConditionEmbedding {
  readonly #layers: readonly Conv2d[];

  /** `widths` empty: a single convolution named `w` itself. */
  constructor(w: Weights, channels: number, widths: readonly number[], outputs: number) {
    if (widths.length === 0) this.#layers = [new Conv2d(w, channels, outputs)];
    else {
      const pairs = widths.slice(1).flatMap((next, i) => [
        new Conv2d(w.at("blocks").at(2 * i), widths[i]!, widths[i]!),
        new Conv2d(w.at("blocks").at(2 * i + 1), widths[i]!, next, { stride: 2 }),
      ]);
      const first = new Conv2d(w.at("conv_in"), channels, widths[0]!);
      this.#layers = [first, ...pairs, new Conv2d(w.at("conv_out"), widths.at(-1)!, outputs)];
    }
  }

  /** Pixels per output, in each direction. */
  get factor(): number {
    return 2 ** (Math.max(0, this.#layers.length - 2) / 2);
  }

  /** `x` stays the caller's. */
  forward(x: Tensor): Tensor {
    return x.device.scope(() => {
      let y = x;
      for (const layer of this.#layers) {
        const input = y;
        const activation = layer === this.#layers.at(-1) ? "none" : "silu";
        y = input === x ? layer.forward(x, { activation }) : consume([input], () => layer.forward(input, { activation }));
      }
      return y;
    });
  }
}
