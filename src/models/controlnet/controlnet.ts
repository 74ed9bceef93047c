// ControlNet (Zhang et al. 2023; diffusers ControlNetModel) and SparseCtrl (Guo et al. 2023; SparseControlNetModel): a copy
// of the UNet's way down that also sees a picture per frame, and what it adds to the UNet's skips and middle.

import type { CrossAttention } from "../../nn/attention.js";
import { Linear } from "../../nn/linear.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import type { BlockContext } from "../unet/blocks.js";
import type { UNetInputs } from "../unet/unet.js";
import { LayerConfigs, UNetEncoder } from "../unet/encoder.js";
import { ConditionEmbedding } from "./condition-embedding.js";
import type { ControlNetConfig } from "./config.js";

/** What a ControlNet makes of one evaluation's input, unscaled: one map per skip of the UNet, and the middle's. */
export interface ControlMaps {
  readonly down: readonly Tensor[];
  readonly mid: Tensor;
}

export class ControlNetModel {
  readonly config: ControlNetConfig;
  readonly #encoder: UNetEncoder;
  readonly #embedding: ConditionEmbedding;
  readonly #down: readonly Linear[];
  readonly #mid: Linear;

  /** `hasPositions(name)` says whether the file stores that positional encoding (SparseCtrl's motion modules). */
  constructor(w: Weights, config: ControlNetConfig, hasPositions: (name: string) => boolean = () => false) {
    this.config = config;
    const { unet, motion, channels, mask, embeddingWidths } = config;
    this.#encoder = new UNetEncoder(w, unet, motion, new LayerConfigs(unet, motion, hasPositions));
    const inputs = channels + (mask ? 1 : 0);
    this.#embedding = new ConditionEmbedding(w.at("controlnet_cond_embedding"), inputs, embeddingWidths, unet.blockOutChannels[0]!);
    const zero = (at: Weights, width: number) => new Linear(at, width, width, { conv: true });
    this.#down = this.#encoder.skipWidths.map((width, i) => zero(w.at("controlnet_down_blocks").at(i), width));
    this.#mid = zero(w.at("controlnet_mid_block"), unet.blockOutChannels.at(-1)!);
  }

  /** Pixels of the condition per latent. */
  get factor(): number {
    return this.#embedding.factor;
  }

  /** Its layers that read the text. */
  get crossAttentions(): CrossAttention[] {
    return this.#encoder.crossAttentions;
  }

  /** As the UNet's. */
  timeEmbeddings(device: Tensor["device"], timesteps: readonly number[], dtype: "f32" | "f16"): Tensor {
    return this.#encoder.timeEmbeddings(device, timesteps, dtype);
  }

  /**
   * What `forward` wants of the condition `[frames, H, W, channels]`: the same at every step. SparseCtrl looks at no latents: to
   * it they are zeros, of which conv_in's bias is left.
   */
  embed(condition: Tensor): Tensor {
    if (this.config.kind === "controlnet") return this.#embedding.forward(condition);
    const { device, dtype } = condition;
    return device.scope(() => {
      const residual = this.#embedding.forward(condition);
      const [n, h, w] = dims4(residual, "SparseCtrl: condition");
      const { inChannels } = this.config.unet;
      const zeros = Tensor.from(device, new Float32Array(n * h * w * inChannels), [n, h, w, inChannels], dtype, "no latents");
      return this.#encoder.convIn.forward(zeros, { residual });
    });
  }

  /** `x [clips·frames, h, w, inChannels]` and `condition` from `embed`, for the same frames; both stay the caller's. */
  forward(x: Tensor, condition: Tensor, { time, text, clip }: UNetInputs): ControlMaps {
    const [n, h, w] = dims4(x, "ControlNet: x");
    const [m, hc, wc] = dims4(condition, "ControlNet: condition");
    if (n !== m || h !== hc || w !== wc)
      throw new Error(`ControlNet: the condition ${String(condition)} does not fit the latents ${String(x)}`);
    return x.device.scope(() => {
      const context: BlockContext = { time, text, clip: { ...clip, parked: false } };
      const first = this.config.kind === "sparse" ? condition : this.#encoder.convIn.forward(x, { residual: condition });
      const skips: Tensor[] = [];
      const last = this.#encoder.descend(first, context, (skip) => skips.push(skip));
      const deepest = this.#encoder.mid.forward(last, context);
      const mid = consume([deepest], () => this.#mid.forward(deepest));
      const down = skips.map((skip, i) => {
        const add = () => this.#down[i]!.forward(skip);
        return skip === condition ? add() : consume([skip], add);
      });
      return { down, mid };
    });
  }
}
