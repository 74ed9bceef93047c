// The UNet's blocks: diffusers' CrossAttnDownBlockMotion, DownBlockMotion, UNetMidBlockCrossAttnMotion,
// CrossAttnUpBlockMotion and UpBlockMotion; without motion modules they are the blocks of UNet2DConditionModel.

import { textOfPart, type AttentionAdditions, type CrossAttention, type TextKeyValues } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { hasParts, inParts, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { added, type BlockAdditions } from "./additions.js";
import { MotionModule, type Clip, type MotionModuleConfig } from "./motion.js";
import { ResnetBlock2D, type ResnetConfig } from "./resnet.js";
import { Transformer2DModel, type TransformerConfig } from "./transformer.js";

/** What every block gets besides its input. */
export interface BlockContext {
  /** Timestep embedding after SiLU, `[b, timeChannels]`. */
  readonly time: Tensor;
  readonly text: TextKeyValues;
  /** What else the layers that read the text attend to. */
  readonly attention?: readonly AttentionAdditions[];
  readonly clip: Clip;
}

/** One layer of a block: a resnet, then a transformer and a motion module where the block has them. */
export interface LayerConfig {
  readonly resnet: ResnetConfig;
  readonly transformer: TransformerConfig | undefined;
  readonly motion: MotionModuleConfig | undefined;
}

const NONE: BlockAdditions = { features: [], outputs: [] };

class Layer {
  readonly resnet: ResnetBlock2D;
  readonly transformer: Transformer2DModel | undefined;
  readonly motion: MotionModule | undefined;

  constructor(w: Weights, i: number, config: LayerConfig) {
    this.resnet = new ResnetBlock2D(w.at("resnets").at(i), config.resnet);
    this.transformer = config.transformer && new Transformer2DModel(w.at("attentions").at(i), config.transformer);
    this.motion = config.motion && new MotionModule(w.at("motion_modules").at(i), config.motion);
  }

  /** `x` and `skip` are used up where `owned`, as soon as the resnet has read them. */
  forward(x: Tensor, context: BlockContext, skip?: Tensor, additions: BlockAdditions = NONE, owned = false): Tensor {
    const used = owned ? [x, ...(skip ? [skip] : [])] : [];
    let y = inFrameParts(context) ? this.#inParts(x, context, skip, used) : this.#atOnce(x, context, skip, used);
    const { motion } = this;
    y = added(y, additions.features, "add features");
    if (motion) y = consume([y], () => motion.forward(y, context.clip));
    return added(y, additions.outputs, "add to output");
  }

  #atOnce(x: Tensor, { time, text, attention }: BlockContext, skip: Tensor | undefined, used: readonly Tensor[]): Tensor {
    const resnet = () => this.resnet.forward(x, time, skip);
    const y = used.length > 0 ? consume(used, resnet) : resnet();
    const { transformer } = this;
    return transformer ? consume([y], () => transformer.forward(y, text, attention)) : y;
  }

  #inParts(x: Tensor, context: BlockContext, skip: Tensor | undefined, used: readonly Tensor[]): Tensor {
    const n = x.shape[0]!;
    const { crossAttentions = [] } = this.transformer ?? {};
    const y = inParts(x, n, context.clip.frames, (start, count) => {
      const text = textOfPart(crossAttentions, context.text, { start, count, n });
      return this.#atOnce(rows(x, start, count), { ...context, text }, skip && rows(skip, start, count), []);
    });
    for (const t of used) t.dispose();
    return y;
  }
}

/**
 * A long clip, of which only the motion modules' windows see several frames at once (FreeNoise): all other layers take some
 * frames at a time. What else they attend to is not laid out for parts.
 */
function inFrameParts({ clip, attention = [] }: BlockContext): boolean {
  return clip.windows !== undefined && attention.length === 0 && hasParts(clip.frames);
}

/** Layers, then a convolution of stride 2 (except in the last block). */
export class DownBlock {
  readonly #layers: readonly Layer[];
  readonly #downsample: Conv2d | undefined;

  constructor(w: Weights, layers: readonly LayerConfig[], downsample: boolean) {
    this.#layers = layers.map((config, i) => new Layer(w, i, config));
    const channels = layers.at(-1)!.resnet.outputs;
    this.#downsample = downsample ? new Conv2d(w.at("downsamplers.0.conv"), channels, channels, { stride: 2 }) : undefined;
  }

  get crossAttentions(): CrossAttention[] {
    return this.#layers.flatMap((l) => l.transformer?.crossAttentions ?? []);
  }

  /**
   * Appends each layer's result, and the downsampled one, to `skips`; the last of them is the block's output. `additions`
   * meet the last layer.
   */
  forward(x: Tensor, context: BlockContext, skips: Tensor[], additions?: BlockAdditions): Tensor {
    let y = x;
    for (const layer of this.#layers) {
      y = layer.forward(y, context, undefined, layer === this.#layers.at(-1) ? additions : undefined);
      skips.push(y);
    }
    if (this.#downsample) {
      y = this.#downsample.forward(y);
      skips.push(y);
    }
    return y;
  }
}

/** Resnet, then (transformer, motion module, resnet) per layer. */
export class MidBlock {
  readonly #first: ResnetBlock2D;
  readonly #layers: readonly { transformer: Transformer2DModel; motion: MotionModule | undefined; resnet: ResnetBlock2D }[];

  constructor(w: Weights, resnet: ResnetConfig, transformer: TransformerConfig, motion: MotionModuleConfig | undefined) {
    this.#first = new ResnetBlock2D(w.at("resnets.0"), resnet);
    this.#layers = [
      {
        transformer: new Transformer2DModel(w.at("attentions.0"), transformer),
        motion: motion && new MotionModule(w.at("motion_modules.0"), motion),
        resnet: new ResnetBlock2D(w.at("resnets.1"), resnet),
      },
    ];
  }

  get crossAttentions(): CrossAttention[] {
    return this.#layers.flatMap((l) => l.transformer.crossAttentions);
  }

  /** `x` stays the caller's. */
  forward(x: Tensor, context: BlockContext): Tensor {
    let y = this.#first.forward(x, context.time);
    for (const { transformer, motion, resnet } of this.#layers) {
      y = consume([y], () => transformer.forward(y, context.text, context.attention));
      if (motion) y = consume([y], () => motion.forward(y, context.clip));
      y = consume([y], () => resnet.forward(y, context.time));
    }
    return y;
  }
}

/** Layers that each take one skip of the way down, then nearest upsampling to the next skip's size with a convolution. */
export class UpBlock {
  readonly #layers: readonly Layer[];
  readonly #upsample: Conv2d | undefined;

  constructor(w: Weights, layers: readonly LayerConfig[], upsample: boolean) {
    this.#layers = layers.map((config, i) => new Layer(w, i, config));
    const channels = layers.at(-1)!.resnet.outputs;
    this.#upsample = upsample ? new Conv2d(w.at("upsamplers.0.conv"), channels, channels) : undefined;
  }

  get crossAttentions(): CrossAttention[] {
    return this.#layers.flatMap((l) => l.transformer?.crossAttentions ?? []);
  }

  /** Uses up `x` and as many tensors from the end of `skips` as it has layers. */
  forward(x: Tensor, context: BlockContext, skips: Tensor[]): Tensor {
    let y = x;
    for (const layer of this.#layers) {
      const skip = skips.pop()!;
      const input = y;
      y = layer.forward(input, context, skip, NONE, true);
    }
    if (this.#upsample) {
      const up = this.#upsample;
      const input = y;
      // Odd sizes: the way down rounded up, so the size to return to is the next skip's, not twice this one.
      const [, h, w] = dims4(skips.at(-1)!, "UNet: skip");
      y = consume([input], () => up.forward(input, { upsampleTo: [h, w] }));
    }
    return y;
  }
}
