// Transformer2DModel: at each resolution, pixels of a frame attend to each other and to the text.

import { CrossAttention, SelfAttention, type AttentionAdditions, type TextKeyValues } from "../../nn/attention.js";
import { FeedForward } from "../../nn/feed-forward.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm, LayerNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";

export interface TransformerConfig {
  readonly channels: number;
  readonly heads: number;
  readonly layers: number;
  readonly textChannels: number;
  readonly groups: number;
  /** proj_in and proj_out are Linear rather than 1×1 convolutions in the checkpoint: the same arithmetic. */
  readonly linearProjection: boolean;
}

/** diffusers BasicTransformerBlock: self-attention, cross-attention, feed-forward, each with LayerNorm and residual. */
class BasicTransformerBlock {
  readonly attn2: CrossAttention;
  readonly #norm1: LayerNorm;
  readonly #attn1: SelfAttention;
  readonly #norm2: LayerNorm;
  readonly #norm3: LayerNorm;
  readonly #ff: FeedForward;

  constructor(w: Weights, { channels, heads, textChannels }: TransformerConfig) {
    this.#norm1 = new LayerNorm(w.at("norm1"), channels);
    this.#attn1 = new SelfAttention(w.at("attn1"), { channels, heads });
    this.#norm2 = new LayerNorm(w.at("norm2"), channels);
    this.attn2 = new CrossAttention(w.at("attn2"), { channels, heads, textChannels });
    this.#norm3 = new LayerNorm(w.at("norm3"), channels);
    this.#ff = new FeedForward(w.at("ff"), channels);
  }

  /** `x [frames, positions, c]`, used up. */
  forward(x: Tensor, text: TextKeyValues, also?: readonly AttentionAdditions[]): Tensor {
    const a = consume([x], () => this.#attn1.forward(this.#norm1.forward(x), x));
    const b = consume([a], () => this.attn2.forward(this.#norm2.forward(a), text, a, also));
    return consume([b], () => this.#ff.forward(this.#norm3.forward(b), b));
  }
}

/** diffusers Transformer2DModel (continuous input). */
export class Transformer2DModel {
  readonly #norm: GroupNorm;
  readonly #in: Linear;
  readonly #blocks: readonly BasicTransformerBlock[];
  readonly #out: Linear;

  constructor(w: Weights, config: TransformerConfig) {
    const { channels, groups, layers } = config;
    const conv = !config.linearProjection;
    this.#norm = new GroupNorm(w.at("norm"), groups, channels, 1e-6);
    this.#in = new Linear(w.at("proj_in"), channels, channels, { conv });
    this.#blocks = Array.from({ length: layers }, (_, i) => new BasicTransformerBlock(w.at("transformer_blocks").at(i), config));
    this.#out = new Linear(w.at("proj_out"), channels, channels, { conv });
  }

  /** Its layers that read the text. */
  get crossAttentions(): CrossAttention[] {
    return this.#blocks.map((b) => b.attn2);
  }

  /** `[frames, h, w, c]` to the same shape. */
  forward(x: Tensor, text: TextKeyValues, also?: readonly AttentionAdditions[]): Tensor {
    const [frames, h, w, c] = dims4(x, "Transformer2DModel: x");
    return x.device.scope(() => {
      let y = x.device.scope(() => this.#in.forward(this.#norm.forward(x)).reshape([frames, h * w, c]));
      for (const block of this.#blocks) y = block.forward(y, text, also);
      return this.#out.forward(y.reshape([frames, h, w, c]), { residual: x });
    });
  }
}
