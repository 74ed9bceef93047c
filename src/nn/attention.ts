// Multi-head attention layers by diffusers' names (to_q, to_k, to_v, to_out.0). The projections of one input are one
// product; kernels read q, k and v in place from its columns.

import { addScaled } from "../../kernels/add-scaled.js";
import { attention, temporalAttention, type Columns } from "../../kernels/attention.js";
import { mixShares } from "../../kernels/mix-shares.js";
import { Tensor } from "../tensor/tensor.js";
import { FusedLinear, Linear } from "./linear.js";
import { rows } from "./rows.js";
import { consume } from "./step.js";
import type { Weights } from "./weights.js";

export interface AttentionConfig {
  /** Channels of the queries and of the result. */
  readonly channels: number;
  readonly heads: number;
  /** Defaults to channels / heads. */
  readonly headDim?: number;
  /** Bias of the q, k, v projections; the output projection always has one. */
  readonly bias?: boolean;
}

function inner(
  w: Weights,
  { channels, heads, headDim }: AttentionConfig,
): { heads: number; headDim: number; inner: number } {
  if (headDim === undefined && channels % heads !== 0)
    throw new Error(`attention ${w.prefix}: ${channels} channels do not divide into ${heads} heads`);
  const d = headDim ?? channels / heads;
  return { heads, headDim: d, inner: heads * d };
}

/** Attention of tokens to each other: within a frame, or over frames at each position. */
export class SelfAttention {
  readonly #label: string;
  readonly #heads: number;
  readonly #headDim: number;
  readonly #inner: number;
  readonly #qkv: FusedLinear;
  readonly #out: Linear;

  constructor(w: Weights, config: AttentionConfig) {
    const d = inner(w, config);
    this.#label = w.prefix;
    this.#heads = d.heads;
    this.#headDim = d.headDim;
    this.#inner = d.inner;
    this.#qkv = new FusedLinear(w, ["to_q", "to_k", "to_v"], config.channels, d.inner, { bias: config.bias ?? false });
    this.#out = new Linear(w.at("to_out.0"), d.inner, config.channels);
  }

  /** `x [b, n, c]`, used up, each of the b sequences by itself; `residual` is added to the result. */
  forward(x: Tensor, residual: Tensor): Tensor {
    const qkv = consume([x], () => this.#qkv.forward(x)); // [b, n, 3·inner]
    const y = consume([qkv], () =>
      attention(this.#column(qkv, 0), this.#column(qkv, 1), this.#column(qkv, 2), {
        heads: this.#heads,
        headDim: this.#headDim,
        label: `attention ${this.#label}`,
      }),
    );
    return this.#out.forward(y, { residual });
  }

  /** `x [b·f, positions, c]`, used up: the f frames of each clip attend to each other at each position. */
  overFrames(x: Tensor, frames: number, residual: Tensor): Tensor {
    const qkv = consume([x], () => this.#qkv.forward(x)); // [b·f, positions, 3·inner]
    const y = consume([qkv], () =>
      temporalAttention(this.#column(qkv, 0), this.#column(qkv, 1), this.#column(qkv, 2), {
        heads: this.#heads,
        headDim: this.#headDim,
        frames,
        label: `temporalAttention ${this.#label}`,
      }),
    );
    return this.#out.forward(y, { residual });
  }

  #column(qkv: Tensor, i: number): { tensor: Tensor; start: number } {
    return { tensor: qkv, start: i * this.#inner };
  }
}

/** Keys and values `[b, tokens, 2·inner]` of a text for the layers that read it. */
export interface TextKeyValues {
  get(layer: CrossAttention): Tensor | undefined;
}

/** Keys and values of one text for every cross-attention layer: computed once per text, not once per step. */
export type PreparedText = ReadonlyMap<CrossAttention, Tensor>;

/** Texts `[b, tokens, textChannels]` of which each layer makes its keys and values when it reads them: one a frame. */
export class TextStates implements TextKeyValues {
  readonly states: Tensor;

  constructor(states: Tensor) {
    this.states = states;
  }

  get(layer: CrossAttention): Tensor {
    return layer.keyValues(this.states);
  }
}

/** `count` of n frames, all of one clip, from frame `start` on. */
export interface FramePart {
  readonly start: number;
  readonly count: number;
  readonly n: number;
}

/** Of b entries for n frames those of a part: each frame its own, or its clip's. */
function entriesOf(t: Tensor, { start, count, n }: FramePart): Tensor {
  const b = t.shape[0]!;
  return b === n ? rows(t, start, count) : rows(t, Math.floor((start * b) / n), 1);
}

/** What of a text is for a part: the frames' own texts, or their clip's. */
export function textOfPart(layers: readonly CrossAttention[], text: TextKeyValues, part: FramePart): TextKeyValues {
  if (text instanceof TextStates) return new TextStates(entriesOf(text.states, part));
  return new Map(
    layers.flatMap((layer) => {
      const kv = text.get(layer);
      return kv ? [[layer, entriesOf(kv, part)] as const] : []; // which says so when it is used
    }),
  );
}

/** Keys and values of a text `[b, tokens, textChannels]` for layers that read it. */
export function prepareText(layers: readonly CrossAttention[], text: Tensor): PreparedText {
  return new Map(layers.map((layer) => [layer, layer.keyValues(text)]));
}

/** Values `[b, tokens, inner]` in the place of the text's own: what they give is read, and adds nothing (attention maps). */
export interface AttentionReading {
  readonly values: Tensor;
  /** Records what is done with it, `[frames, n, inner]`. */
  readonly read: (given: Tensor) => void;
}

/** What a layer that reads the text does besides. */
export type AttentionAddition = AttentionReading | MoreKeyValues;

/** Further keys and values `[b, tokens, 2·inner]`. */
export type MoreKeyValues = { readonly keyValues: Tensor } & (
  | {
      /** What they give is added, times this (IP-Adapter). */
      readonly scale: number;
    }
  | {
      /**
       * What they give takes the place of what there is, in these shares (regional prompts): f32 `[1 or frames, n]` for layers of n
       * tokens, by n.
       */
      readonly shares: ReadonlyMap<number, Tensor>;
      /** The last frames, to which this applies: under guidance those of the conditional half. */
      readonly frames: number;
    }
);

/** By layer. */
export type AttentionAdditions = ReadonlyMap<CrossAttention, AttentionAddition>;

/** What layers do besides for a part of the frames. @throws Error for readings, which want all of them at once */
export function additionsOfPart(
  layers: readonly CrossAttention[],
  additions: AttentionAdditions,
  part: FramePart,
): AttentionAdditions {
  return new Map(
    layers.flatMap((layer): [CrossAttention, MoreKeyValues][] => {
      const more = additions.get(layer);
      if (!more) return [];
      if ("read" in more) throw new Error("attention: what reads a layer wants all frames at once");
      const { keyValues } = more;
      if ("scale" in more) return [[layer, { ...more, keyValues: entriesOf(keyValues, part) }]];
      const [n, { count }] = [more.frames, part];
      const own = { start: part.start - (part.n - n), count, n };
      if (own.start < 0) return []; // the unconditional half
      const shares = new Map([...more.shares].map(([positions, t]) => [positions, entriesOf(t, own)]));
      return [[layer, { keyValues: entriesOf(keyValues, own), shares, frames: count }]];
    }),
  );
}

/** Attention of tokens to a text. */
export class CrossAttention {
  readonly #label: string;
  readonly #heads: number;
  readonly #headDim: number;
  readonly #inner: number;
  readonly #q: Linear;
  readonly #kv: FusedLinear;
  readonly #out: Linear;

  constructor(w: Weights, config: AttentionConfig & { readonly textChannels: number }) {
    const d = inner(w, config);
    this.#label = w.prefix;
    this.#heads = d.heads;
    this.#headDim = d.headDim;
    this.#inner = d.inner;
    this.#q = new Linear(w.at("to_q"), config.channels, d.inner, { bias: config.bias ?? false });
    this.#kv = new FusedLinear(w, ["to_k", "to_v"], config.textChannels, d.inner, { bias: config.bias ?? false });
    this.#out = new Linear(w.at("to_out.0"), d.inner, config.channels);
  }

  /** `text [b, tokens, textChannels] → [b, tokens, 2·inner]` */
  keyValues(text: Tensor): Tensor {
    return this.#kv.forward(text);
  }

  get heads(): number {
    return this.#heads;
  }

  /** Channels of its keys, and of its values. */
  get inner(): number {
    return this.#inner;
  }

  /**
   * `x [frames, n, c]`, used up; the b texts are shared evenly by the frames. `also`: attention to what else there is, in turn.
   */
  forward(x: Tensor, text: TextKeyValues, residual: Tensor, also: readonly AttentionAdditions[] = []): Tensor {
    const kv = text.get(this);
    if (!kv) throw new Error(`attention ${this.#label}: the text's keys and values were not prepared for this network`);
    const q = consume([x], () => this.#q.forward(x));
    let y = this.#attend(q, kv);
    for (const additions of also) {
      const more = additions.get(this);
      if (!more) continue;
      if ("read" in more) {
        q.device.scope(() => more.read(this.#attend(q, kv, { tensor: more.values, start: 0 }, "attentionMap")));
        continue;
      }
      const own = y;
      y = consume([own], () => {
        if ("scale" in more) return addScaled(own, this.#attend(q, more.keyValues), more.scale, { label: "decoupled" });
        const [, n = 0] = q.shape;
        const shares = more.shares.get(n);
        if (!shares) throw new Error(`attention ${this.#label}: there are no shares of regions for ${n} tokens`);
        return mixShares(
          own,
          this.#attend(rows(q, q.shape[0]! - more.frames, more.frames), more.keyValues),
          shares,
          "regional",
        );
      });
    }
    return this.#out.forward(y, { residual });
  }

  #attend(
    q: Tensor,
    keyValues: Tensor,
    values: Columns = { tensor: keyValues, start: this.#inner },
    label = "attention",
  ): Tensor {
    return attention(q, { tensor: keyValues, start: 0 }, values, {
      heads: this.#heads,
      headDim: this.#headDim,
      label: `${label} ${this.#label}`,
    });
  }
}
