// The noise predictor: Stable Diffusion's UNet with motion modules (diffusers UNetMotionModel), or without them
// (UNet2DConditionModel). Frames are a batch of pictures to everything but the motion modules.

import { add } from "../../../kernels/elementwise.js";
import { timestepEmbedding } from "../../../kernels/timestep-embedding.js";
import type { TextKeyValues } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import type { UNetAdditions } from "./additions.js";
import { DownBlock, MidBlock, UpBlock, type BlockContext, type LayerConfig } from "./blocks.js";
import type { MotionConfig, UNetConfig } from "./config.js";
import type { Clip, MotionModuleConfig } from "./motion.js";
import type { TransformerConfig } from "./transformer.js";

/** Inputs of one evaluation. */
export interface UNetInputs {
  /** `[1, 4·width]`: the row of `timeEmbeddings` for this evaluation's timestep, one for all clips. */
  readonly time: Tensor;
  /** From `prepareText`: one text a clip, or one a frame. */
  readonly text: TextKeyValues;
  readonly clip: Clip;
  /** What adapters add; default nothing. */
  readonly additions?: readonly UNetAdditions[];
}

/** Predicts the noise in latents `[clips·frames, h, w, 4]`, given a timestep and a text. */
export class UNetMotionModel {
  readonly config: UNetConfig;
  readonly #timeDim: number;
  readonly #time1: Linear;
  readonly #time2: Linear;
  readonly #convIn: Conv2d;
  readonly #down: readonly DownBlock[];
  readonly #mid: MidBlock;
  readonly #up: readonly UpBlock[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  /** `motion` undefined leaves the motion modules out; `hasPositions(name)` says whether the file stores that encoding. */
  constructor(w: Weights, config: UNetConfig, motion: MotionConfig | undefined, hasPositions: (name: string) => boolean = () => false) {
    this.config = config;
    const widths = config.blockOutChannels;
    const first = widths[0]!;
    const last = widths.at(-1)!;
    const timeChannels = 4 * first;
    this.#timeDim = first;
    this.#time1 = new Linear(w.at("time_embedding.linear_1"), first, timeChannels);
    this.#time2 = new Linear(w.at("time_embedding.linear_2"), timeChannels, timeChannels);
    this.#convIn = new Conv2d(w.at("conv_in"), config.inChannels, first);

    const transformer = (channels: number, block: number): TransformerConfig => ({
      channels,
      heads: config.heads[block]!,
      layers: config.transformerLayers[block]!,
      textChannels: config.crossAttentionDim,
      groups: config.groups,
      linearProjection: config.linearProjection,
    });
    const motionModule = (at: Weights, channels: number, block: number, layers: number): MotionModuleConfig | undefined =>
      motion && {
        channels,
        heads: motion.heads[block]!,
        layers,
        groups: config.groups,
        maxFrames: motion.maxFrames,
        storedPositions: hasPositions(at.name("motion_modules.0.transformer_blocks.0.pos_embed.pe")),
      };
    const layer = (at: Weights, inputs: number, outputs: number, block: number, attention: boolean): LayerConfig => ({
      resnet: { inputs, outputs, groups: config.groups, eps: config.eps, timeChannels },
      transformer: attention ? transformer(outputs, block) : undefined,
      motion: motionModule(at, outputs, block, motion?.transformerLayers[block] ?? 1),
    });

    const skipWidths = [first];
    this.#down = widths.map((outputs, block) => {
      const at = w.at("down_blocks").at(block);
      const isLast = block === widths.length - 1;
      const layers = Array.from({ length: config.layersPerBlock[block]! }, (_, i) => {
        const inputs = i > 0 ? outputs : (widths[block - 1] ?? first);
        return layer(at, inputs, outputs, block, config.downAttention[block]!);
      });
      skipWidths.push(...layers.map(() => outputs), ...(isLast ? [] : [outputs]));
      return new DownBlock(at, layers, !isLast);
    });

    const lastBlock = widths.length - 1;
    const mid = w.at("mid_block");
    this.#mid = new MidBlock(
      mid,
      { inputs: last, outputs: last, groups: config.groups, eps: config.eps, timeChannels },
      transformer(last, lastBlock),
      motion?.midBlock === true ? motionModule(mid, last, lastBlock, motion.midTransformerLayers) : undefined,
    );

    let width = last;
    this.#up = widths.map((_, i) => {
      const block = lastBlock - i;
      const outputs = widths[block]!;
      const at = w.at("up_blocks").at(i);
      const layers = Array.from({ length: config.layersPerBlock[block]! + 1 }, () => {
        const inputs = width + skipWidths.pop()!;
        width = outputs;
        return layer(at, inputs, outputs, block, config.upAttention[i]!);
      });
      return new UpBlock(at, layers, block > 0);
    });
    this.#normOut = new GroupNorm(w.at("conv_norm_out"), config.groups, first, config.eps);
    this.#convOut = new Conv2d(w.at("conv_out"), first, config.outChannels);
  }

  /** Keys and values of a text `[b, tokens, crossAttentionDim]` for every layer that reads it: once per text. */
  prepareText(text: Tensor): TextKeyValues {
    const layers = [...this.#down, this.#mid, ...this.#up].flatMap((block) => block.crossAttentions);
    return new Map(layers.map((layer) => [layer, layer.keyValues(text)]));
  }

  /** Embeddings `[timesteps, 4·width]` of all of a run's timesteps (0 … 999), after the SiLU that every resnet begins with. */
  timeEmbeddings(device: Tensor["device"], timesteps: readonly number[], dtype: "f32" | "f16"): Tensor {
    const { flipSinToCos, freqShift } = this.config;
    return device.scope(() => {
      const t = Tensor.from(device, timesteps, [timesteps.length], "f32", "timesteps");
      const sinusoids = timestepEmbedding(t, this.#timeDim, { flipSinToCos, downscaleFreqShift: freqShift, dtype });
      return this.#time2.forward(this.#time1.forward(sinusoids, { activation: "silu" }), { activation: "silu" });
    });
  }

  /** `x [clips·frames, h, w, inChannels] → [clips·frames, h, w, outChannels]`, in x's dtype. `x` stays the caller's. */
  forward(x: Tensor, { time, text, clip, additions = [] }: UNetInputs): Tensor {
    const [n] = dims4(x, "UNet: x");
    if (n % clip.frames !== 0) throw new Error(`UNet: ${n} frames are no multiple of the ${clip.frames} frames of a clip`);
    return x.device.scope(() => {
      const context: BlockContext = { time, text, clip };
      const skips = [this.#convIn.forward(x)];
      let y = skips[0]!;
      for (const block of this.#down) y = block.forward(y, context, skips);
      // The deepest map is both the mid block's input and the last skip.
      const deepest = y;
      for (const { down } of additions) if (down) addToSkips(skips, down, deepest);
      y = this.#mid.forward(y, context);
      for (const { mid } of additions) if (mid) y = consume([y], () => add(y, mid, "add to mid block"));
      for (const block of this.#up) y = block.forward(y, context, skips);
      return consume([y], () => this.#convOut.forward(this.#normOut.forward(y, { activation: "silu" })));
    });
  }
}

/** Replaces each skip by its sum with `down`; `kept` is needed as it was. */
function addToSkips(skips: Tensor[], down: readonly Tensor[], kept: Tensor): void {
  if (down.length !== skips.length)
    throw new Error(`UNet: ${down.length} additions for ${skips.length} skips; the adapter is made for another UNet`);
  for (const [i, skip] of skips.entries()) {
    skips[i] = add(skip, down[i]!, "add to skip");
    if (skip !== kept) skip.dispose();
  }
}
