// What IP-Adapters (Ye et al. 2023) make of an image encoder's view of a picture: tokens as wide as a text's. Three kinds,
// diffusers' ImageProjection, IPAdapterFullImageProjection and IPAdapterPlusImageProjection, by their published names.

import { attention } from "../../../kernels/attention.js";
import { cast } from "../../../kernels/elementwise.js";
import { copyRows } from "../../../kernels/copy.js";
import { Linear } from "../../nn/linear.js";
import { LayerNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Parameter, Weights } from "../../nn/weights.js";
import { dims3 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";

/** A picture to tokens. */
export interface ImageProjection {
  /** What it looks at: the encoder's embedding `[1, inputs]`, or the states before its last layer `[1, patches + 1, inputs]`. */
  readonly reads: "embedding" | "states";
  readonly inputs: number;
  /** Of its tokens. */
  readonly width: number;
  /** → `[1, tokens, width]`; `x` stays the caller's. */
  forward(x: Tensor): Tensor;
}

/** Shape of a tensor in the file, by its published name. */
export type ShapeOf = (name: string) => readonly number[];

/** The base kind: one linear layer from the embedding to a few tokens. */
export class EmbeddingProjection implements ImageProjection {
  readonly reads = "embedding";
  readonly inputs: number;
  readonly width: number;
  readonly #proj: Linear;
  readonly #norm: LayerNorm;

  constructor(w: Weights, shapeOf: ShapeOf) {
    const [outputs = 1, inputs = 1] = shapeOf(w.name("proj.weight"));
    this.inputs = inputs;
    this.width = shapeOf(w.name("norm.weight"))[0] ?? 1;
    this.#proj = new Linear(w.at("proj"), inputs, outputs);
    this.#norm = new LayerNorm(w.at("norm"), this.width);
  }

  forward(x: Tensor): Tensor {
    return x.device.scope(() => {
      const y = this.#proj.forward(x);
      return this.#norm.forward(y.reshape([1, y.size / this.width, this.width]));
    });
  }
}

/** Full Face: every state to a token, by two linear layers. */
export class FullProjection implements ImageProjection {
  readonly reads = "states";
  readonly inputs: number;
  readonly width: number;
  readonly #in: Linear;
  readonly #out: Linear;
  readonly #norm: LayerNorm;

  constructor(w: Weights, shapeOf: ShapeOf) {
    const [hidden = 1, inputs = 1] = shapeOf(w.name("proj.0.weight"));
    this.inputs = inputs;
    this.width = shapeOf(w.name("proj.3.weight"))[0] ?? 1;
    this.#in = new Linear(w.at("proj.0"), inputs, hidden);
    this.#out = new Linear(w.at("proj.2"), hidden, this.width);
    this.#norm = new LayerNorm(w.at("proj.3"), this.width);
  }

  forward(x: Tensor): Tensor {
    return x.device.scope(() => this.#norm.forward(this.#out.forward(this.#in.forward(x, { activation: "gelu" }))));
  }
}

/** Channels of a head, in every published file. */
const HEAD = 64;

/** A layer of the resampler: the queries attend to the picture and to themselves, then a network of two layers. */
class ResamplerLayer {
  readonly #label: string;
  readonly #heads: number;
  readonly #norm1: LayerNorm;
  readonly #norm2: LayerNorm;
  readonly #q: Linear;
  readonly #kv: Linear;
  readonly #out: Linear;
  readonly #normFf: LayerNorm;
  readonly #ffIn: Linear;
  readonly #ffOut: Linear;

  constructor(w: Weights, width: number, shapeOf: ShapeOf) {
    const [attend, ff] = [w.at(0), w.at(1)];
    const inner = shapeOf(attend.name("to_q.weight"))[0] ?? HEAD;
    const hidden = shapeOf(ff.name("1.weight"))[0] ?? width;
    const bias = false;
    this.#label = attend.prefix;
    this.#heads = inner / HEAD;
    this.#norm1 = new LayerNorm(attend.at("norm1"), width);
    this.#norm2 = new LayerNorm(attend.at("norm2"), width);
    this.#q = new Linear(attend.at("to_q"), width, inner, { bias });
    this.#kv = new Linear(attend.at("to_kv"), width, 2 * inner, { bias });
    this.#out = new Linear(attend.at("to_out"), inner, width, { bias });
    this.#normFf = new LayerNorm(ff.at(0), width);
    this.#ffIn = new Linear(ff.at(1), width, hidden, { bias });
    this.#ffOut = new Linear(ff.at(3), hidden, width, { bias });
  }

  /** `queries [1, m, c]`, used up, look at the picture `x [1, n, c]`. */
  forward(x: Tensor, queries: Tensor): Tensor {
    const [, n, c] = dims3(x, "resampler: x");
    const [, m] = dims3(queries, "resampler: queries");
    const y = consume([queries], () => {
      const own = this.#norm2.forward(queries);
      const seen = Tensor.empty(x.device, [n + m, c], x.dtype, "picture and queries");
      copyRows(this.#norm1.forward(x).reshape([n, c]), 0, seen, 0, n);
      copyRows(own.reshape([m, c]), 0, seen, n, m);
      const keyValues = this.#kv.forward(seen.reshape([1, n + m, c])); // [1, n + m, 2·inner]
      const inner = this.#heads * HEAD;
      const [k, v] = [0, inner].map((start) => ({ tensor: keyValues, start }));
      const a = attention(this.#q.forward(own), k!, v!, {
        heads: this.#heads,
        headDim: HEAD,
        label: `attention ${this.#label}`,
      });
      return this.#out.forward(a, { residual: queries });
    });
    return consume([y], () =>
      this.#ffOut.forward(this.#ffIn.forward(this.#normFf.forward(y), { activation: "gelu" }), { residual: y }),
    );
  }
}

/** Plus: a resampler (Perceiver, Alayrac et al. 2022): learnt queries look at all states, layer by layer. */
export class ResamplerProjection implements ImageProjection {
  readonly reads = "states";
  readonly inputs: number;
  readonly width: number;
  readonly #queries: Parameter<Tensor>;
  readonly #in: Linear;
  readonly #layers: readonly ResamplerLayer[];
  readonly #out: Linear;
  readonly #norm: LayerNorm;

  constructor(w: Weights, shapeOf: ShapeOf, layers: number) {
    const [, queries = 1, hidden = 1] = shapeOf(w.name("latents"));
    this.inputs = shapeOf(w.name("proj_in.weight"))[1] ?? 1;
    this.width = shapeOf(w.name("proj_out.weight"))[0] ?? 1;
    const { dtype } = w.store;
    this.#queries = w.param("latents", [1, queries, hidden], (raw) => (raw.dtype === dtype ? raw : cast(raw, dtype)));
    this.#in = new Linear(w.at("proj_in"), this.inputs, hidden);
    this.#layers = Array.from({ length: layers }, (_, i) => new ResamplerLayer(w.at("layers").at(i), hidden, shapeOf));
    this.#out = new Linear(w.at("proj_out"), hidden, this.width);
    this.#norm = new LayerNorm(w.at("norm_out"), this.width);
  }

  forward(x: Tensor): Tensor {
    const { device } = x;
    return device.scope(() => {
      const states = this.#in.forward(x);
      const learnt = this.#queries.value;
      let queries = Tensor.empty(device, learnt.shape, learnt.dtype, "queries"); // a copy: layers use theirs up
      copyRows(learnt, 0, queries, 0, 1);
      for (const layer of this.#layers) queries = layer.forward(states, queries);
      return this.#norm.forward(this.#out.forward(queries));
    });
  }
}
