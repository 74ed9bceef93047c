// The UNet's way down with its middle block and timestep embedding: what a UNet and a ControlNet, made as its copy, share.

import { timestepEmbedding } from "../../../kernels/timestep-embedding.js";
import type { CrossAttention } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import type { Weights } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";
import type { BlockAdditions } from "./additions.js";
import { DownBlock, MidBlock, type BlockContext, type Keep, type LayerConfig } from "./blocks.js";
import type { MotionConfig, UNetConfig } from "./config.js";
import type { MotionModuleConfig } from "./motion.js";
import type { TransformerConfig } from "./transformer.js";

/** How a UNet's layers are made from its configuration. */
export class LayerConfigs {
  readonly #config: UNetConfig;
  readonly #motion: MotionConfig | undefined;
  readonly #hasPositions: (name: string) => boolean;

  /** `motion` undefined leaves the motion modules out; `hasPositions(name)` says whether the file stores that encoding. */
  constructor(config: UNetConfig, motion: MotionConfig | undefined, hasPositions: (name: string) => boolean) {
    this.#config = config;
    this.#motion = motion;
    this.#hasPositions = hasPositions;
  }

  transformer(channels: number, block: number): TransformerConfig {
    const { heads, transformerLayers, crossAttentionDim, groups, linearProjection } = this.#config;
    return {
      channels,
      heads: heads[block]!,
      layers: transformerLayers[block]!,
      textChannels: crossAttentionDim,
      groups,
      linearProjection,
    };
  }

  motionModule(at: Weights, channels: number, block: number, layers: number): MotionModuleConfig | undefined {
    const motion = this.#motion;
    return (
      motion && {
        channels,
        heads: motion.heads[block]!,
        layers,
        attentions: motion.attentions,
        groups: this.#config.groups,
        maxFrames: motion.maxFrames,
        storedPositions: this.#hasPositions(at.name("motion_modules.0.transformer_blocks.0.pos_embed.pe")),
      }
    );
  }

  /** One layer of block `block` (counted on the way down) at `at`. */
  layer(at: Weights, inputs: number, outputs: number, block: number, attention: boolean): LayerConfig {
    const { groups, eps, blockOutChannels } = this.#config;
    return {
      resnet: { inputs, outputs, groups, eps, timeChannels: 4 * blockOutChannels[0]! },
      transformer: attention ? this.transformer(outputs, block) : undefined,
      motion: this.motionModule(at, outputs, block, this.#motion?.transformerLayers[block] ?? 1),
    };
  }
}

/** time_embedding, conv_in, down_blocks, mid_block. */
export class UNetEncoder {
  readonly config: UNetConfig;
  readonly convIn: Conv2d;
  readonly down: readonly DownBlock[];
  readonly mid: MidBlock;
  /** Channels of the skips, in order. */
  readonly skipWidths: readonly number[];
  readonly #time1: Linear;
  readonly #time2: Linear;

  constructor(w: Weights, config: UNetConfig, motion: MotionConfig | undefined, layers: LayerConfigs) {
    this.config = config;
    const widths = config.blockOutChannels;
    const first = widths[0]!;
    const last = widths.at(-1)!;
    const timeChannels = 4 * first;
    this.#time1 = new Linear(w.at("time_embedding.linear_1"), first, timeChannels);
    this.#time2 = new Linear(w.at("time_embedding.linear_2"), timeChannels, timeChannels);
    this.convIn = new Conv2d(w.at("conv_in"), config.inChannels, first);
    const skipWidths = [first];
    this.down = widths.map((outputs, block) => {
      const at = w.at("down_blocks").at(block);
      const isLast = block === widths.length - 1;
      const configs = Array.from({ length: config.layersPerBlock[block]! }, (_, i) => {
        const inputs = i > 0 ? outputs : (widths[block - 1] ?? first);
        return layers.layer(at, inputs, outputs, block, config.downAttention[block]!);
      });
      skipWidths.push(...configs.map(() => outputs), ...(isLast ? [] : [outputs]));
      return new DownBlock(at, configs, !isLast);
    });
    this.skipWidths = skipWidths;
    const lastBlock = widths.length - 1;
    const mid = w.at("mid_block");
    this.mid = new MidBlock(
      mid,
      { inputs: last, outputs: last, groups: config.groups, eps: config.eps, timeChannels },
      layers.transformer(last, lastBlock),
      motion?.midBlock === true ? layers.motionModule(mid, last, lastBlock, motion.midTransformerLayers) : undefined,
    );
  }

  get crossAttentions(): CrossAttention[] {
    return [...this.down, this.mid].flatMap((block) => block.crossAttentions);
  }

  /** Embeddings `[timesteps, 4·width]` of all of a run's timesteps (0 … 999), after the SiLU that every resnet begins with. */
  timeEmbeddings(device: Tensor["device"], timesteps: readonly number[], dtype: "f32" | "f16"): Tensor {
    const { flipSinToCos, freqShift, blockOutChannels } = this.config;
    return device.scope(() => {
      const t = Tensor.from(device, timesteps, [timesteps.length], "f32", "timesteps");
      const options = { flipSinToCos, downscaleFreqShift: freqShift, dtype };
      const sinusoids = timestepEmbedding(t, blockOutChannels[0]!, options);
      return this.#time2.forward(this.#time1.forward(sinusoids, { activation: "silu" }), { activation: "silu" });
    });
  }

  /**
   * The way down from what conv_in made, `x [clips·frames, h, w, width]`: all that the layers leave goes to `keep`, x first;
   * the last is also the result and the middle block's input. `additions[block]` are added as UNetAdditions says.
   */
  descend(x: Tensor, context: BlockContext, keep: Keep, additions: readonly BlockAdditions[] = []): Tensor {
    keep(x);
    let y = x;
    for (const [i, block] of this.down.entries()) y = block.forward(y, context, keep, additions[i]);
    return y;
  }
}
