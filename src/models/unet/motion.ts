// Motion module (diffusers AnimateDiffTransformer3D): at each position, the frames of a clip attend to each other. This is
// what AnimateDiff adds to Stable Diffusion, and what AnimateLCM distils. Tokens stay where they are: attention strides
// over frames.

import { copyRows } from "../../../kernels/copy.js";
import { cast } from "../../../kernels/elementwise.js";
import { SelfAttention } from "../../nn/attention.js";
import { FeedForward } from "../../nn/feed-forward.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm, LayerNorm } from "../../nn/norm.js";
import { eachPart, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import type { Parameter, Weights, WeightStore } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Window } from "./frame-windows.js";
import { WindowStream, type Sink } from "./window-stream.js";

export interface MotionModuleConfig {
  readonly channels: number;
  readonly heads: number;
  /** Transformer blocks in the module. */
  readonly layers: number;
  /** Attentions over frames in a block: AnimateDiff's modules have two, SparseCtrl's one. */
  readonly attentions: 1 | 2;
  readonly groups: number;
  /** Positions the encoding is made for. */
  readonly maxFrames: number;
  /** The checkpoint brings the encoding (`pos_embed.pe`); else it is the sinusoid. */
  readonly storedPositions: boolean;
}

/** How the clip is laid out and normalised. */
export interface Clip {
  /** Frames per clip; the tensors hold one or more clips after each other. */
  readonly frames: number;
  /** Over what the module's GroupNorm averages: each frame (AnimateDiff's own code) or all of a clip (diffusers). */
  readonly norm: "joint" | "frame";
  /**
   * Frames attend to each other in these windows, whose results are blended (FreeNoise): equally long, in order, none
   * beyond the clip's end. Default all to all.
   */
  readonly windows?: readonly Window[];
  /**
   * With windows: what the way down leaves for the way up waits on the host, so that the device's memory hardly grows with
   * the clip. Default false.
   */
  readonly parked?: boolean;
}

class MotionBlock {
  readonly #norms: readonly LayerNorm[];
  readonly #attentions: readonly SelfAttention[];
  readonly #norm3: LayerNorm;
  readonly #ff: FeedForward;
  readonly #positions: Parameter<Tensor>;

  constructor(w: Weights, { channels, heads, attentions, maxFrames, storedPositions }: MotionModuleConfig) {
    const numbers = [1, 2].slice(0, attentions);
    this.#norms = numbers.map((n) => new LayerNorm(w.at(`norm${n}`), channels));
    this.#attentions = numbers.map((n) => new SelfAttention(w.at(`attn${n}`), { channels, heads }));
    this.#norm3 = new LayerNorm(w.at("norm3"), channels);
    this.#ff = new FeedForward(w.at("ff"), channels);
    const { device } = w;
    this.#positions = storedPositions
      ? w.param("pos_embed.pe", [1, maxFrames, channels], (raw) => (raw.dtype === "f32" ? raw : cast(raw, "f32")).reshape([maxFrames, channels]))
      : w.params([], [], () => Tensor.from(device, sinusoid(maxFrames, channels), [maxFrames, channels], "f32", w.name("pos_embed.pe")));
  }

  /** `x [clips·frames, positions, c]`, used up. */
  forward(x: Tensor, frames: number): Tensor {
    const y = this.#attend(x, frames);
    return consume([y], () => this.#feed(y));
  }

  /** The same for one clip whose frames come and go in parts, attending to each other in windows. */
  inWindows(frames: number, windows: readonly Window[], sink: Sink): Sink {
    const attend = (window: Tensor) => this.#attend(window, window.shape[0]!);
    return new WindowStream(frames, windows, attend, (start, y) => sink(start, consume([y], () => this.#feed(y)))).push;
  }

  #feed(x: Tensor): Tensor {
    return this.#ff.forward(this.#norm3.forward(x), x);
  }

  /** Positions count from the first of the frames: a window's (diffusers' FreeNoiseTransformerBlock). */
  #attend(x: Tensor, frames: number): Tensor {
    const [, positions] = x.shape as [number, number];
    let y = x;
    for (const [i, attention] of this.#attentions.entries()) {
      const input = y;
      y = consume([input], () => {
        const pe = this.#positions.value.slice(0, frames);
        const n = this.#norms[i]!.forward(input, { add: pe, addIndex: { rows: positions } });
        return attention.overFrames(n, frames, input);
      });
    }
    return y;
  }
}

/** One motion module, `[clips·frames, h, w, c]` to the same shape. */
export class MotionModule {
  readonly #maxFrames: number;
  readonly #norm: GroupNorm;
  readonly #in: Linear;
  readonly #blocks: readonly MotionBlock[];
  readonly #out: Linear;
  readonly #store: WeightStore;

  constructor(w: Weights, config: MotionModuleConfig) {
    const { channels, groups, layers } = config;
    this.#store = w.store;
    this.#maxFrames = config.maxFrames;
    this.#norm = new GroupNorm(w.at("norm"), groups, channels, 1e-6);
    this.#in = new Linear(w.at("proj_in"), channels, channels);
    this.#blocks = Array.from({ length: layers }, (_, i) => new MotionBlock(w.at("transformer_blocks").at(i), config));
    this.#out = new Linear(w.at("proj_out"), channels, channels);
  }

  /** `x` is used up. */
  forward(x: Tensor, { frames, norm, windows }: Clip): Tensor {
    const together = windows?.[0]?.frames.length ?? frames;
    if (together > this.#maxFrames)
      throw new Error(`${together} frames are more than the ${this.#maxFrames} positions this motion module knows; ask for at most ${this.#maxFrames}`);
    const framesJointly = norm === "joint" ? frames : 1;
    if (windows) return this.#store.hold(() => this.#inWindows(x, frames, windows, framesJointly));
    return consume([x], () => this.#atOnce(x, frames, framesJointly));
  }

  #atOnce(x: Tensor, frames: number, framesJointly: number): Tensor {
    const [n, h, w, c] = dims4(x, "MotionModule: x");
    let y = x.device.scope(() => this.#in.forward(this.#norm.forward(x, { framesJointly })).reshape([n, h * w, c]));
    for (const block of this.#blocks) y = block.forward(y, frames);
    return this.#out.forward(y.reshape([n, h, w, c]), { residual: x });
  }

  /** Frames pass through the blocks in parts; the results take their places in x. */
  #inWindows(x: Tensor, frames: number, windows: readonly Window[], framesJointly: number): Tensor {
    const { device } = x;
    const [n, h, w, c] = dims4(x, "MotionModule: x");
    device.scope(() => {
      const normed = this.#norm.inRows(x, framesJointly);
      for (let clip = 0; clip < n; clip += frames)
        device.scope(() => {
          const last: Sink = (start, y) =>
            device.scope(() => {
              const [first, count] = [clip + start, y.shape[0]!];
              const out = this.#out.forward(y.reshape([count, h, w, c]), { residual: rows(x, first, count) });
              y.dispose();
              copyRows(out, 0, x, first, count);
            });
          const push = this.#blocks.reduceRight<Sink>((sink, block) => block.inWindows(frames, windows, sink), last);
          eachPart(frames, frames, (start, count) => {
            push(start, device.scope(() => this.#in.forward(normed(clip + start, count)).reshape([count, h * w, c])));
          });
        });
    });
    return x;
  }
}

/** Sinusoidal positional encoding `[positions, channels]`: sine on even, cosine on odd channels, base 10000. */
export function sinusoid(positions: number, channels: number): Float32Array {
  const pe = new Float32Array(positions * channels);
  for (let p = 0; p < positions; p++)
    for (let i = 0; i < channels; i += 2) {
      const angle = p * Math.exp((-Math.log(10000) * i) / channels);
      pe[p * channels + i] = Math.sin(angle);
      if (i + 1 < channels) pe[p * channels + i + 1] = Math.cos(angle);
    }
  return pe;
}
