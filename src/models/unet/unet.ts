// The noise predictor: Stable Diffusion's UNet with motion modules (diffusers UNetMotionModel), or without them
// (UNet2DConditionModel). Frames are a batch of pictures to everything but the motion modules.

import { prepareText, type CrossAttention, type PreparedText, type TextKeyValues } from "../../nn/attention.js";
import { Conv2d } from "../../nn/conv2d.js";
import { GroupNorm } from "../../nn/norm.js";
import { inParts, ParkedFrames, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import type { Weights, WeightStore } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { added, blockAdditions, checkAdditions, type UNetAdditions } from "./additions.js";
import { inFrameParts, UpBlock, type BlockContext, type Skip, type Upsample } from "./blocks.js";
import type { MotionConfig, UNetConfig } from "./config.js";
import { LayerConfigs, UNetEncoder } from "./encoder.js";
import type { Clip } from "./motion.js";

/** Inputs of one evaluation. */
export interface UNetInputs {
  /** `[1, 4·width]`: the row of `timeEmbeddings` for this evaluation's timestep, one for all clips. */
  readonly time: Tensor;
  /** From `prepareText`, or as they are: one text a clip, or one a frame. */
  readonly text: TextKeyValues;
  readonly clip: Clip;
  /** What other networks add; default nothing. */
  readonly additions?: readonly UNetAdditions[];
}

/** Predicts the noise in latents `[clips·frames, h, w, 4]`, given a timestep and a text. */
export class UNetMotionModel {
  readonly config: UNetConfig;
  readonly store: WeightStore;
  readonly #encoder: UNetEncoder;
  readonly #up: readonly UpBlock[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  /** `motion` undefined leaves the motion modules out; `hasPositions(name)` says whether the file stores that encoding. */
  constructor(w: Weights, config: UNetConfig, motion: MotionConfig | undefined, hasPositions: (name: string) => boolean = () => false) {
    this.config = config;
    this.store = w.store;
    const layers = new LayerConfigs(config, motion, hasPositions);
    this.#encoder = new UNetEncoder(w, config, motion, layers);
    const widths = config.blockOutChannels;
    const first = widths[0]!;
    const skipWidths = [...this.#encoder.skipWidths];
    let width = widths.at(-1)!;
    this.#up = widths.map((_, i) => {
      const block = widths.length - 1 - i;
      const outputs = widths[block]!;
      const at = w.at("up_blocks").at(i);
      const configs = Array.from({ length: config.layersPerBlock[block]! + 1 }, () => {
        const inputs = width + skipWidths.pop()!;
        width = outputs;
        return layers.layer(at, inputs, outputs, block, config.upAttention[i]!);
      });
      return new UpBlock(at, configs, block > 0);
    });
    this.#normOut = new GroupNorm(w.at("conv_norm_out"), config.groups, first, config.eps);
    this.#convOut = new Conv2d(w.at("conv_out"), first, config.outChannels);
  }

  /** Its layers that read the text, in the order down, middle, up. */
  get crossAttentions(): CrossAttention[] {
    return [...this.#encoder.crossAttentions, ...this.#up.flatMap((block) => block.crossAttentions)];
  }

  /** The same layers in the order in which IP-Adapter files number them: down, up, middle. */
  get adapterLayers(): CrossAttention[] {
    const { down, mid } = this.#encoder;
    return [...down, ...this.#up, mid].flatMap((block) => block.crossAttentions);
  }

  /** Keys and values of a text `[b, tokens, crossAttentionDim]` for every layer that reads it: once per text. */
  prepareText(text: Tensor): PreparedText {
    return prepareText(this.crossAttentions, text);
  }

  /** Embeddings `[timesteps, 4·width]` of all of a run's timesteps (0 … 999), after the SiLU that every resnet begins with. */
  timeEmbeddings(device: Tensor["device"], timesteps: readonly number[], dtype: "f32" | "f16"): Tensor {
    return this.#encoder.timeEmbeddings(device, timesteps, dtype);
  }

  /** `x [clips·frames, h, w, inChannels] → [clips·frames, h, w, outChannels]`, in x's dtype. `x` stays the caller's. */
  forward(x: Tensor, { time, text, clip, additions = [] }: UNetInputs): Tensor {
    const [n] = dims4(x, "UNet: x");
    if (n % clip.frames !== 0) throw new Error(`UNet: ${n} frames are no multiple of the ${clip.frames} frames of a clip`);
    const { skipWidths, down, mid, convIn } = this.#encoder;
    checkAdditions(additions, skipWidths.length, down.length);
    return x.device.scope(() => {
      const attention = additions.flatMap((a) => a.attention ?? []);
      const context = parkable({ time, text, attention, clip }, additions);
      const inBlocks = down.map((_, block) => blockAdditions(additions, block));
      const skips: Skip[] = [];
      const { parked } = context.clip;
      const keep = (skip: Tensor) => skips.push(parked === true ? new ParkedFrames(skip, clip.frames) : skip);
      const deepest = this.#encoder.descend(convIn.forward(x), context, keep, inBlocks);
      // The deepest map, without additions, is the mid block's input, and with them the last skip.
      let y = added(mid.forward(deepest, context), additions.map((a) => a.mid), "add control mid");
      if (parked === true) deepest.dispose();
      for (const [i, skip] of skips.entries())
        if (skip instanceof Tensor) skips[i] = added(skip, additions.map((a) => a.down?.[i]), `add control ${i}`);
      let upsample: Upsample | undefined;
      for (const block of this.#up) {
        y = block.forward(y, context, skips, upsample);
        ({ upsample } = block);
      }
      const last = (t: Tensor) => this.#convOut.forward(this.#normOut.forward(t, { activation: "silu" }));
      if (!inFrameParts(context)) return consume([y], () => last(y));
      return inParts(y.device, n, clip.frames, (start, count) => last(rows(y, start, count)), y);
    });
  }
}

/** What is added to skips is added at once: with it nothing is parked. */
function parkable(context: BlockContext, additions: readonly UNetAdditions[]): BlockContext {
  const parked = context.clip.parked === true && inFrameParts(context) && additions.every((a) => !a.down);
  return { ...context, clip: { ...context.clip, parked } };
}
