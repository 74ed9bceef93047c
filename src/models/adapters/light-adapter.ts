// T2I-Adapter's light network (diffusers LightAdapter): per level a bottleneck of a quarter of its width, with residual blocks
// in it. Names are those of the original files.

import { avgPool2d } from "../../../kernels/avg-pool.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { FeatureAdapterConfig } from "./feature-adapter.js";

class Level {
  readonly #in: Linear;
  readonly #blocks: readonly { readonly block1: Conv2d; readonly block2: Conv2d }[];
  readonly #out: Linear;

  constructor(w: Weights, inputs: number, outputs: number, blocks: number) {
    const width = Math.floor(outputs / 4);
    this.#in = new Linear(w.at("in_conv"), inputs, width, { conv: true });
    this.#blocks = Array.from({ length: blocks }, (_, i) => {
      const at = w.at("body").at(i);
      return { block1: new Conv2d(at.at("block1"), width, width), block2: new Conv2d(at.at("block2"), width, width) };
    });
    this.#out = new Linear(w.at("out_conv"), width, outputs, { conv: true });
  }

  /** `x` stays the caller's. */
  forward(x: Tensor): Tensor {
    return x.device.scope(() => {
      let y = this.#in.forward(x);
      for (const { block1, block2 } of this.#blocks) {
        const residual = y;
        y = consume([residual], () => block2.forward(block1.forward(residual, { activation: "relu" }), { residual }));
      }
      return this.#out.forward(y);
    });
  }
}

export class LightAdapter {
  readonly config: FeatureAdapterConfig;
  readonly #levels: readonly Level[];

  constructor(w: Weights, config: FeatureAdapterConfig) {
    this.config = config;
    const { channels, blocks, inChannels } = config;
    this.#levels = channels.map((outputs, i) => new Level(w.at("body").at(i), channels[i - 1] ?? inChannels, outputs, blocks));
  }

  /** `x [frames, h, w, inChannels]` → one map a level, each half the size of the one before, rounded up. */
  forward(x: Tensor): Tensor[] {
    return x.device.scope(() => {
      const maps: Tensor[] = [];
      for (const level of this.#levels) {
        const input = maps.length === 0 ? x : avgPool2d(maps.at(-1)!);
        maps.push(input === x ? level.forward(x) : consume([input], () => level.forward(input)));
      }
      return maps;
    });
  }
}
