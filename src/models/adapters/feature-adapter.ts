// The network of T2I-Adapter (Mou et al. 2023) and of AnimateLCM-I2V's image encoder (G-U-N/AnimateLCM, models/adapter.py):
// residual blocks at the UNet's resolutions, one map for each. Names are those of the original files.

import { avgPool2d } from "../../../kernels/avg-pool.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import type { Tensor } from "../../tensor/tensor.js";

export interface FeatureAdapterConfig {
  /** Channels of what it reads. */
  readonly inChannels: number;
  /** Channels of its maps, one per level. */
  readonly channels: readonly number[];
  /** Residual blocks a level. */
  readonly blocks: number;
}

/** Halves the picture where a level begins, brings it to the level's width, adds what two convolutions make of it. */
class ResnetBlock {
  readonly #down: boolean;
  readonly #in: Linear | undefined;
  readonly #block1: Conv2d;
  readonly #block2: Linear;

  constructor(w: Weights, inputs: number, outputs: number, down: boolean) {
    this.#down = down;
    this.#in = inputs === outputs ? undefined : new Linear(w.at("in_conv"), inputs, outputs, { conv: true });
    this.#block1 = new Conv2d(w.at("block1"), outputs, outputs);
    this.#block2 = new Linear(w.at("block2"), outputs, outputs, { conv: true });
  }

  /** `x` stays the caller's. */
  forward(x: Tensor): Tensor {
    return x.device.scope(() => {
      const small = this.#down ? avgPool2d(x) : x;
      const y = this.#in ? this.#in.forward(small) : small;
      return this.#block2.forward(this.#block1.forward(y, { activation: "relu" }), { residual: y });
    });
  }
}

export class FeatureAdapter {
  readonly config: FeatureAdapterConfig;
  readonly #convIn: Conv2d;
  readonly #levels: readonly (readonly ResnetBlock[])[];

  constructor(w: Weights, config: FeatureAdapterConfig) {
    this.config = config;
    const { channels, blocks } = config;
    this.#convIn = new Conv2d(w.at("conv_in"), config.inChannels, channels[0]!);
    this.#levels = channels.map((outputs, level) =>
      Array.from({ length: blocks }, (_, i) => {
        const begins = level > 0 && i === 0;
        const inputs = begins ? channels[level - 1]! : outputs;
        return new ResnetBlock(w.at("body").at(level * blocks + i), inputs, outputs, begins);
      }),
    );
  }

  /**
   * `x [frames, h, w, inChannels]` → one map a level, each half the size of the one before, rounded up. `positions [frames,
   * channels[0]]` of x's dtype are added after conv_in.
   */
  forward(x: Tensor, positions?: Tensor): Tensor[] {
    return x.device.scope(() => {
      const maps: Tensor[] = [];
      let y = this.#convIn.forward(x, positions ? { rowBias: positions } : {});
      for (const level of this.#levels)
        for (const block of level) {
          const input = y;
          // A level's map is kept; the next level begins by reading it.
          y = maps.includes(input) ? block.forward(input) : consume([input], () => block.forward(input));
          if (block === level.at(-1)) maps.push(y);
        }
      return maps;
    });
  }
}
