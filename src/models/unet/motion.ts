// Motion module (diffusers AnimateDiffTransformer3D): at each position, the frames of a clip attend to each other. This is
// what AnimateDiff adds to Stable Diffusion, and what AnimateLCM distils. Tokens stay where they are: attention strides
// over frames.

import { copyRows } from "../../../kernels/copy.js";
import { cast } from "../../../kernels/elementwise.js";
import { fuseFrames } from "../../../kernels/fuse-frames.js";
import { SelfAttention } from "../../nn/attention.js";
import { FeedForward } from "../../nn/feed-forward.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm, LayerNorm } from "../../nn/norm.js";
import { hasParts, inParts, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import type { Parameter, Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { fusionRuns, runsOf, type Window } from "./frame-windows.js";

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
  /** Frames attend to each other in these windows, all equally long, whose results are blended (FreeNoise); default all. */
  readonly windows?: readonly Window[];
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
  forward(x: Tensor, { frames, windows }: Clip): Tensor {
    const y = windows ? this.#attendInWindows(x, frames, windows) : this.#attend(x, frames);
    const feed = (t: Tensor) => this.#ff.forward(this.#norm3.forward(t), t);
    if (!windows || !hasParts(frames)) return consume([y], () => feed(y));
    return consume([y], () => inParts(y, y.shape[0]!, frames, (start, count) => feed(rows(y, start, count))));
  }

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

  /** Positions count from each window's first frame (diffusers FreeNoiseTransformerBlock). */
  #attendInWindows(x: Tensor, frames: number, windows: readonly Window[]): Tensor {
    const { device, shape, dtype } = x;
    const firsts = Array.from({ length: shape[0]! / frames }, (_, clip) => clip * frames);
    return consume([x], () => {
      const sum = Tensor.empty(device, shape, "f32", "blended windows");
      const covered = new Set<number>();
      for (const window of windows) {
        const { length } = window.frames;
        device.scope(() => {
          const part = Tensor.empty(device, [firsts.length * length, ...shape.slice(1)], dtype, "window");
          for (const [clip, first] of firsts.entries())
            for (const { at, frame, count } of runsOf(window.frames)) copyRows(x, first + frame, part, clip * length + at, count);
          const y = this.#attend(part, length);
          for (const [clip, first] of firsts.entries())
            for (const run of fusionRuns(window, covered)) fuseFrames(y, sum, { ...run, from: clip * length + run.from, to: first + run.to });
        });
        for (const frame of window.frames) covered.add(frame);
      }
      return dtype === "f32" ? sum : cast(sum, "f16", "blended windows");
    });
  }
}

/** One motion module, `[clips·frames, h, w, c]` to the same shape. */
export class MotionModule {
  readonly #maxFrames: number;
  readonly #norm: GroupNorm;
  readonly #in: Linear;
  readonly #blocks: readonly MotionBlock[];
  readonly #out: Linear;

  constructor(w: Weights, config: MotionModuleConfig) {
    const { channels, groups, layers } = config;
    this.#maxFrames = config.maxFrames;
    this.#norm = new GroupNorm(w.at("norm"), groups, channels, 1e-6);
    this.#in = new Linear(w.at("proj_in"), channels, channels);
    this.#blocks = Array.from({ length: layers }, (_, i) => new MotionBlock(w.at("transformer_blocks").at(i), config));
    this.#out = new Linear(w.at("proj_out"), channels, channels);
  }

  forward(x: Tensor, clip: Clip): Tensor {
    const together = clip.windows?.[0]?.frames.length ?? clip.frames;
    if (together > this.#maxFrames)
      throw new Error(`${together} frames are more than the ${this.#maxFrames} positions this motion module knows; ask for at most ${this.#maxFrames}`);
    const [n, h, w, c] = dims4(x, "MotionModule: x");
    return x.device.scope(() => {
      const framesJointly = clip.norm === "joint" ? clip.frames : 1;
      let y = x.device.scope(() => this.#in.forward(this.#norm.forward(x, { framesJointly })).reshape([n, h * w, c]));
      for (const block of this.#blocks) y = block.forward(y, clip);
      return this.#out.forward(y.reshape([n, h, w, c]), { residual: x });
    });
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
