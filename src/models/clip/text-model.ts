// CLIPTextModel: the text encoder of Stable Diffusion (transformers' CLIPTextModel; Radford et al. 2021). A causal
// transformer over token embeddings.

import { attention } from "../../../kernels/attention.js";
import { cast } from "../../../kernels/elementwise.js";
import { embedding } from "../../../kernels/embedding.js";
import { FusedLinear, Linear } from "../../nn/linear.js";
import { LayerNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Parameter, Weights, WeightStore } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";

/** What varies between CLIP text encoders: transformers' config.json. */
export interface CLIPTextConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly maxPositions: number;
  readonly activation: "quick_gelu" | "gelu";
  readonly eps: number;
}

/** A vector in place of a token's embedding (textual inversion): `hiddenSize` values at token `at` of text `row`. */
export interface TokenVector {
  readonly row: number;
  readonly at: number;
  readonly values: Float32Array;
}

/** An index that no table reaches: its row is left as it is. */
const NONE = 0xffffffff;

type Json = Readonly<Record<string, unknown>>;

/** Stable Diffusion 1.5's text encoder (openai/clip-vit-large-patch14). */
export const SD15_TEXT: Json = { vocab_size: 49408, hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 };

/** Reads a text encoder's config.json. @throws Error naming what is missing or not supported */
export function parseCLIPTextConfig(json: Json, name: string): CLIPTextConfig {
  const number = (key: string, missing: number) => (typeof json[key] === "number" ? json[key] : missing);
  const activation = json["hidden_act"] ?? "quick_gelu";
  if (activation !== "quick_gelu" && activation !== "gelu")
    throw new Error(`${name}: hidden_act is ${JSON.stringify(activation)}, supported are "quick_gelu" and "gelu"`);
  // transformers' defaults of CLIPTextConfig
  return {
    vocabSize: number("vocab_size", 49408),
    hiddenSize: number("hidden_size", 512),
    intermediateSize: number("intermediate_size", 2048),
    layers: number("num_hidden_layers", 12),
    heads: number("num_attention_heads", 8),
    maxPositions: number("max_position_embeddings", 77),
    activation,
    eps: number("layer_norm_eps", 1e-5),
  };
}

/** What a layer varies in. `causal` false: every token sees all (pictures). */
export type CLIPLayerConfig = Pick<CLIPTextConfig, "hiddenSize" | "intermediateSize" | "heads" | "activation" | "eps"> & {
  readonly causal?: boolean;
};

/** transformers CLIPEncoderLayer: causal self-attention and a two-layer network, each after LayerNorm, with residuals. */
export class CLIPEncoderLayer {
  readonly #config: CLIPLayerConfig;
  readonly #label: string;
  readonly #norm1: LayerNorm;
  readonly #qkv: FusedLinear;
  readonly #out: Linear;
  readonly #norm2: LayerNorm;
  readonly #fc1: Linear;
  readonly #fc2: Linear;

  constructor(w: Weights, config: CLIPLayerConfig) {
    const { hiddenSize: d, intermediateSize, eps } = config;
    this.#config = config;
    this.#label = w.prefix;
    this.#norm1 = new LayerNorm(w.at("layer_norm1"), d, eps);
    this.#qkv = new FusedLinear(w.at("self_attn"), ["q_proj", "k_proj", "v_proj"], d, d, { bias: true });
    this.#out = new Linear(w.at("self_attn.out_proj"), d, d);
    this.#norm2 = new LayerNorm(w.at("layer_norm2"), d, eps);
    this.#fc1 = new Linear(w.at("mlp.fc1"), d, intermediateSize);
    this.#fc2 = new Linear(w.at("mlp.fc2"), intermediateSize, d);
  }

  /** `x [b, tokens, d]`, used up. */
  forward(x: Tensor): Tensor {
    const { hiddenSize: d, heads, activation } = this.#config;
    const y = consume([x], () => {
      const qkv = this.#qkv.forward(this.#norm1.forward(x));
      const [q, k, v] = [0, d, 2 * d].map((start) => ({ tensor: qkv, start }));
      const a = attention(q!, k!, v!, { heads, headDim: d / heads, causal: this.#config.causal ?? true, label: `attention ${this.#label}` });
      return this.#out.forward(a, { residual: x });
    });
    return consume([y], () => this.#fc2.forward(this.#fc1.forward(this.#norm2.forward(y), { activation }), { residual: y }));
  }
}

/** Token ids to a sequence of vectors that the UNet attends to. */
export class CLIPTextModel {
  readonly config: CLIPTextConfig;
  readonly store: WeightStore;
  readonly #tokens: Parameter<Tensor>;
  readonly #positions: Parameter<Tensor>;
  readonly #layers: readonly CLIPEncoderLayer[];
  readonly #finalNorm: LayerNorm;

  /** `w` stands at the root of the file; names begin with `text_model.`. */
  constructor(w: Weights, config: CLIPTextConfig) {
    this.config = config;
    this.store = w.store;
    const m = w.at("text_model");
    const e = m.at("embeddings");
    this.#tokens = e.param("token_embedding.weight", [config.vocabSize, config.hiddenSize], (raw) => raw);
    this.#positions = e.param("position_embedding.weight", [config.maxPositions, config.hiddenSize], (raw) => raw);
    this.#layers = Array.from({ length: config.layers }, (_, i) => new CLIPEncoderLayer(m.at("encoder.layers").at(i), config));
    this.#finalNorm = new LayerNorm(m.at("final_layer_norm"), config.hiddenSize, config.eps);
    // Buffers that some versions of transformers store, and the projection that only image-text matching uses.
    w.store.ignore(/position_ids$|^text_projection\.weight$|^logit_scale$/);
  }

  /**
   * Last hidden state `[b, tokens, hiddenSize]` of token ids `[b][tokens]`. `clipSkip` n takes the state n layers before
   * the last (diffusers' clip_skip); the final norm is applied either way. `vectors` replace token embeddings.
   * @throws Error where a text is longer than the positions, a vector has another width, or clipSkip leaves no layer
   */
  forward(
    device: Tensor["device"],
    ids: readonly (readonly number[])[],
    dtype: "f32" | "f16",
    clipSkip = 0,
    vectors: readonly TokenVector[] = [],
  ): Tensor {
    const { hiddenSize, maxPositions, layers } = this.config;
    const n = ids[0]?.length ?? 0;
    if (n === 0 || n > maxPositions || ids.some((row) => row.length !== n))
      throw new Error(`CLIPTextModel: expected texts of equal length, at most ${maxPositions} tokens, got ${ids.map((row) => row.length).join(", ")}`);
    if (!Number.isInteger(clipSkip) || clipSkip < 0 || clipSkip >= layers)
      throw new Error(`clip skip ${clipSkip} is out of range: this text encoder has ${layers} layers, so 0 to ${layers - 1}`);
    return device.scope(() => {
      const flat = Tensor.from(device, ids.flat(), [ids.length * n], "u32", "token ids");
      const tokens = this.#tokens.value;
      const rows = this.#positions.value.slice(0, n);
      const first = rows.dtype === tokens.dtype ? rows : cast(rows, tokens.dtype as "f32" | "f16", "positions");
      const words = embedding(flat, tokens, first, dtype, "embedding");
      if (vectors.length > 0) this.#replace(words, vectors, first, n);
      let x = words.reshape([ids.length, n, hiddenSize]);
      for (const layer of this.#layers.slice(0, layers - clipSkip)) x = layer.forward(x);
      return this.#finalNorm.forward(x);
    });
  }

  /** Writes `vectors`, with their positions added, over rows of `words [texts·n, hiddenSize]`. */
  #replace(words: Tensor, vectors: readonly TokenVector[], positions: Tensor, n: number): void {
    const { hiddenSize } = this.config;
    const rows = new Array<number>(words.shape[0]!).fill(NONE);
    const table = new Float32Array(vectors.length * hiddenSize);
    for (const [i, { row, at, values }] of vectors.entries()) {
      if (values.length !== hiddenSize)
        throw new Error(`a textual-inversion vector has ${values.length} values, but this text encoder is of width ${hiddenSize}`);
      rows[row * n + at] = i;
      table.set(values, i * hiddenSize);
    }
    const { device, dtype } = words;
    const index = Tensor.from(device, rows, [rows.length], "u32", "textual inversion rows");
    const values = Tensor.from(device, table, [vectors.length, hiddenSize], "f32", "textual inversion");
    const exact = positions.dtype === "f32" ? positions : cast(positions, "f32", "positions");
    embedding(index, values, exact, dtype === "f16" ? "f16" : "f32", "textual inversion", words);
  }
}

/** Index of the end-of-text token, whose state is the pooled embedding: the largest id, as transformers finds it. */
export function endOfText(ids: readonly number[]): number {
  return ids.indexOf(Math.max(...ids));
}
