// The UNet's blocks: diffusers' CrossAttnDownBlockMotion, DownBlockMotion, UNetMidBlockCrossAttnMotion,
// CrossAttnUpBlockMotion and UpBlockMotion; without motion modules they are the blocks of UNet2DConditionModel.

import type { Device } from "../../gpu/device.js";
import { additionsOfPart, textOfPart, type AttentionAdditions, type CrossAttention, type TextKeyValues } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { hasParts, inParts, ParkedFrames, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import type { Weights, WeightStore } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
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

/** What a layer of the way down leaves for the way up: still on the device, or on the host. */
export type Skip = Tensor | ParkedFrames;

/** Takes what a layer of the way down leaves. */
export type Keep = (skip: Tensor) => void;

/** Nearest upsampling to a size with a convolution, of some frames. */
export type Upsample = (x: Tensor, to: readonly [number, number]) => Tensor;

/** One layer of a block: a resnet, then a transformer and a motion module where the block has them. */
export interface LayerConfig {
  readonly resnet: ResnetConfig;
  readonly transformer: TransformerConfig | undefined;
  readonly motion: MotionModuleConfig | undefined;
}

const NONE: BlockAdditions = { features: [], outputs: [] };

/** What a layer gets besides its input. */
interface LayerInputs {
  readonly skip?: Skip | undefined;
  readonly additions?: BlockAdditions | undefined;
  readonly owned?: boolean;
  readonly upsample?: ((x: Tensor) => Tensor) | undefined;
}

class Layer {
  readonly resnet: ResnetBlock2D;
  readonly transformer: Transformer2DModel | undefined;
  readonly motion: MotionModule | undefined;
  readonly #store: WeightStore;

  constructor(w: Weights, i: number, config: LayerConfig) {
    this.#store = w.store;
    this.resnet = new ResnetBlock2D(w.at("resnets").at(i), config.resnet);
    this.transformer = config.transformer && new Transformer2DModel(w.at("attentions").at(i), config.transformer);
    this.motion = config.motion && new MotionModule(w.at("motion_modules").at(i), config.motion);
  }

  /** `x` and `skip` are used up where `owned`, as soon as the resnet has read them; `upsample` comes before it. */
  forward(x: Tensor, context: BlockContext, { skip, additions = NONE, owned = false, upsample }: LayerInputs = {}): Tensor {
    let y: Tensor;
    if (inFrameParts(context)) y = this.#inParts(x, context, skip, owned, upsample);
    else {
      const input = upsample ? consume([x], () => upsample(x)) : x;
      const whole = skip && partOf(skip, x.device, 0, x.shape[0]!);
      y = this.#atOnce(input, context, whole, owned ? [input, ...(whole ? [whole] : [])] : []);
    }
    const { motion } = this;
    y = added(y, additions.features, "add features");
    if (motion) y = motion.forward(y, context.clip);
    return added(y, additions.outputs, "add to output");
  }

  #atOnce(x: Tensor, { time, text, attention }: BlockContext, skip: Tensor | undefined, used: readonly Tensor[]): Tensor {
    const resnet = () => this.resnet.forward(x, time, skip);
    const y = used.length > 0 ? consume(used, resnet) : resnet();
    const { transformer } = this;
    return transformer ? consume([y], () => transformer.forward(y, text, attention)) : y;
  }

  #inParts(x: Tensor, context: BlockContext, skip: Skip | undefined, owned: boolean, upsample?: (x: Tensor) => Tensor): Tensor {
    const { device, shape } = x;
    const n = shape[0]!;
    const { frames, parked = false } = context.clip;
    const { crossAttentions = [] } = this.transformer ?? {};
    // Where the result cannot take the place of x, the two do not meet on the device.
    const source: Skip = parked && upsample ? new ParkedFrames(x, frames) : x;
    if (source !== x) x.dispose();
    const make = (start: number, count: number) => {
      const these = { start, count, n };
      const text = textOfPart(crossAttentions, context.text, these);
      const attention = context.attention?.map((a) => additionsOfPart(crossAttentions, a, these));
      const part = partOf(source, device, start, count);
      const input = upsample ? consume([part], () => upsample(part)) : part;
      const skipped = skip && partOf(skip, device, start, count);
      return this.#atOnce(input, { ...context, text, ...(attention && { attention }) }, skipped, [input, ...(skipped ? [skipped] : [])]);
    };
    const place = owned && source === x ? x : undefined;
    const y = this.#store.hold(() => inParts(device, n, frames, make, place));
    if (owned && skip instanceof Tensor) skip.dispose();
    return y;
  }
}

function partOf(skip: Skip, device: Device, start: number, count: number): Tensor {
  return skip instanceof ParkedFrames ? skip.part(device, start, count) : rows(skip, start, count);
}

/**
 * A long clip, of which only the motion modules' windows see several frames at once (FreeNoise): all other layers take some
 * frames at a time. Who reads what layers attend to wants it for all.
 */
export function inFrameParts({ clip, attention = [] }: BlockContext): boolean {
  const read = attention.some((a) => [...a.values()].some((addition) => "read" in addition));
  return clip.windows !== undefined && !read && hasParts(clip.frames);
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
   * Each layer's result, and the downsampled one, goes to `keep`; the last of them is the block's output. `additions` meet
   * the last layer. Where the clip is parked nobody else holds them, and each is used up by the next step.
   */
  forward(x: Tensor, context: BlockContext, keep: Keep, additions?: BlockAdditions): Tensor {
    const owned = context.clip.parked === true;
    let y = x;
    for (const layer of this.#layers) {
      y = layer.forward(y, context, { owned, additions: layer === this.#layers.at(-1) ? additions : undefined });
      keep(y);
    }
    const downsample = this.#downsample;
    if (downsample) {
      const input = y;
      y = owned ? consume([input], () => downsample.forward(input)) : downsample.forward(input);
      keep(y);
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
      if (motion) y = motion.forward(y, context.clip);
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
    this.#upsample = upsample ? new Conv2d(w.at("upsamplers.0.conv"), channels, channels, { doubled: true }) : undefined;
  }

  get crossAttentions(): CrossAttention[] {
    return this.#layers.flatMap((l) => l.transformer?.crossAttentions ?? []);
  }

  /** What follows the last layer, before the next block. */
  get upsample(): Upsample | undefined {
    const up = this.#upsample;
    return up && ((x, to) => up.forward(x, { upsampleTo: to }));
  }

  /** Uses up `x`, to be upsampled first, and as many from the end of `skips` as it has layers. */
  forward(x: Tensor, context: BlockContext, skips: Skip[], upsample?: Upsample): Tensor {
    let y = x;
    for (const layer of this.#layers) {
      const skip = skips.pop()!;
      // Odd sizes: the way down rounded up, so the size to return to is the skip's, not twice this one.
      const [, h, w] = dims4(skip, "UNet: skip");
      const first = layer === this.#layers[0] ? upsample : undefined;
      y = layer.forward(y, context, { skip, owned: true, upsample: first && ((part) => first(part, [h, w])) });
    }
    return y;
  }
}
