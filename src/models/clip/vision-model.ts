// CLIPVisionModelWithProjection: pictures to the vectors that IP-Adapter reads (transformers' class; Radford et al. 2021), and
// CLIPImageProcessor's preparation of a picture, to the bit in PIL's part.

import { add, cast } from "../../../kernels/elementwise.js";
import { copyRows } from "../../../kernels/copy.js";
import { linear, packLinear, type PackedLinear } from "../../../kernels/linear.js";
import type { Picture } from "../../io/frames.js";
import { resizePart } from "../../io/resample.js";
import { Linear } from "../../nn/linear.js";
import { LayerNorm } from "../../nn/norm.js";
import type { Parameter, Weights } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";
import { CLIPEncoderLayer, type CLIPLayerConfig } from "./text-model.js";

export interface CLIPVisionConfig extends CLIPLayerConfig {
  readonly layers: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly projection: number;
}

type Json = Readonly<Record<string, unknown>>;

/** Reads an image encoder's config.json. @throws Error naming what is not supported */
export function parseCLIPVisionConfig(file: Json, name: string): CLIPVisionConfig {
  const json = (file["vision_config"] ?? file) as Json; // a whole CLIP model's file holds both of its networks
  const type = json["model_type"] ?? "clip_vision_model";
  if (type !== "clip_vision_model")
    throw new Error(`${name} describes a ${JSON.stringify(type)}; expected CLIP's image encoder ("clip_vision_model")`);
  const number = (key: string, missing: number) => (typeof json[key] === "number" ? json[key] : missing);
  const activation = json["hidden_act"] ?? "quick_gelu";
  if (activation !== "quick_gelu" && activation !== "gelu")
    throw new Error(`${name}: hidden_act is ${JSON.stringify(activation)}, supported are "quick_gelu" and "gelu"`);
  // transformers' defaults of CLIPVisionConfig
  return {
    hiddenSize: number("hidden_size", 768),
    intermediateSize: number("intermediate_size", 3072),
    layers: number("num_hidden_layers", 12),
    heads: number("num_attention_heads", 12),
    imageSize: number("image_size", 224),
    patchSize: number("patch_size", 32),
    projection: number("projection_dim", 512),
    activation,
    eps: number("layer_norm_eps", 1e-5),
    causal: false,
  };
}

const MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
const DEVIATION = [0.26862954, 0.26130258, 0.27577711] as const;

/** A picture as transformers' CLIPImageProcessor prepares it: f32 `[size, size, 3]`, normalised; opacity is ignored. */
export function clipPixels(picture: Picture, size: number): Float32Array {
  const { width, height } = picture;
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  const other = Math.trunc((size * long) / short);
  const rgba = Uint8Array.from(picture.rgba, (v, i) => (i % 4 === 3 ? 255 : v));
  const [w, h] = width <= height ? [size, other] : [other, size];
  const [left, top] = [Math.floor((w - size) / 2), Math.floor((h - size) / 2)];
  const cut = resizePart({ width, height, rgba }, w, h, "bicubic", { left, top, right: left + size, bottom: top + size });
  return Float32Array.from({ length: size * size * 3 }, (_, i) => {
    const k = i % 3;
    return (cut.rgba[4 * Math.floor(i / 3) + k]! / 255 - MEAN[k]!) / DEVIATION[k]!;
  });
}

export class CLIPVisionModel {
  readonly config: CLIPVisionConfig;
  readonly #class: Parameter<Tensor>;
  readonly #patches: Parameter<PackedLinear>;
  readonly #positions: Parameter<Tensor>;
  readonly #pre: LayerNorm;
  readonly #layers: readonly CLIPEncoderLayer[];
  readonly #post: LayerNorm;
  readonly #projection: Linear;

  /** `w` stands at the root of the file; names begin with `vision_model.`. */
  constructor(w: Weights, config: CLIPVisionConfig) {
    this.config = config;
    const { hiddenSize: d, patchSize: p, imageSize, eps, layers } = config;
    const m = w.at("vision_model");
    const e = m.at("embeddings");
    const tokens = (imageSize / p) ** 2 + 1;
    const { dtype } = w.store;
    const stored = (raw: Tensor) => (raw.dtype === dtype ? raw : cast(raw, dtype));
    this.#class = e.param("class_embedding", [d], (raw) => stored(raw).reshape([1, d]));
    this.#patches = e.param("patch_embedding.weight", [d, 3, p, p], (raw) => packLinear(raw.reshape([d, 3 * p * p]), { dtype }));
    this.#positions = e.param("position_embedding.weight", [tokens, d], stored);
    this.#pre = new LayerNorm(m.at("pre_layrnorm"), d, eps);
    this.#layers = Array.from({ length: layers }, (_, i) => new CLIPEncoderLayer(m.at("encoder.layers").at(i), config));
    this.#post = new LayerNorm(m.at("post_layernorm"), d, eps);
    this.#projection = new Linear(w.at("visual_projection"), d, config.projection, { bias: false });
    w.store.ignore(/position_ids$|^logit_scale$|^text_model\.|^text_projection\./);
  }

  /** `image_embeds [1, projection]` of a picture from `clipPixels`. */
  embed(device: Tensor["device"], pixels: Float32Array, dtype: "f32" | "f16"): Tensor {
    const { hiddenSize: d, layers } = this.config;
    return device.scope(() => {
      const x = this.#states(device, pixels, dtype, layers);
      const first = Tensor.empty(device, [1, d], dtype, "class token");
      copyRows(x.reshape([x.size / d, d]), 0, first, 0, 1);
      return this.#projection.forward(this.#post.forward(first));
    });
  }

  /** `hidden_states[-2] [1, patches + 1, hiddenSize]`: what the last layer is given. */
  penultimate(device: Tensor["device"], pixels: Float32Array, dtype: "f32" | "f16"): Tensor {
    return this.#states(device, pixels, dtype, this.config.layers - 1);
  }

  /** The states after the first `layers` layers. */
  #states(device: Tensor["device"], pixels: Float32Array, dtype: "f32" | "f16", layers: number): Tensor {
    const { hiddenSize: d, imageSize, patchSize: p } = this.config;
    const side = imageSize / p;
    // A convolution whose kernel is its stride: rows of [3, p, p] per patch.
    const rows = new Float32Array(side * side * 3 * p * p);
    for (let i = 0, o = 0; i < side * side; i++)
      for (let k = 0; k < 3; k++)
        for (let y = 0; y < p; y++)
          for (let x = 0; x < p; x++, o++)
            rows[o] = pixels[((Math.floor(i / side) * p + y) * imageSize + (i % side) * p + x) * 3 + k]!;
    return device.scope(() => {
      const patches = linear(Tensor.from(device, rows, [side * side, 3 * p * p], dtype, "patches"), this.#patches.value);
      const tokens = Tensor.empty(device, [side * side + 1, d], dtype, "picture tokens");
      copyRows(this.#class.value, 0, tokens, 0, 1);
      copyRows(patches, 0, tokens, 1, side * side);
      let x = this.#pre.forward(add(tokens, this.#positions.value).reshape([1, side * side + 1, d]));
      for (const layer of this.#layers.slice(0, layers)) x = layer.forward(x);
      return x;
    });
  }
}
