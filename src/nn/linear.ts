// Linear: y = x Wᵀ + b. Weights by PyTorch names and shapes ([out, in]); several of them can be fused into one product.

import { cast } from "../../kernels/elementwise.js";
import { linear, packLinear, type LinearOptions, type PackedLinear } from "../../kernels/linear.js";
import type { Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import type { Parameter, Weights } from "./weights.js";

/** A 1-D parameter (bias, norm scale), kept in f32. */
export function vector(w: Weights, local: string, size: number): Parameter<Tensor> {
  return w.param(local, [size], (raw) => (raw.dtype === "f32" ? raw : cast(raw, "f32", w.name(local))));
}

export interface LinearConfig {
  readonly bias?: boolean;
  /** Fuses `value · gelu(gate)` over the two halves of the outputs (diffusers' GEGLU). */
  readonly geglu?: boolean;
  /** The weight is a 1×1 convolution in the checkpoint: `[out, in, 1, 1]`. */
  readonly conv?: boolean;
}

/** torch.nn.Linear, or a 1×1 convolution, over the last dimension. */
export class Linear {
  readonly outputs: number;
  readonly #label: string;
  readonly #weight: Parameter<PackedLinear>;
  readonly #bias: Parameter<Tensor> | undefined;

  constructor(w: Weights, inputs: number, outputs: number, config: LinearConfig = {}) {
    const { bias = true, geglu = false, conv = false } = config;
    const shape: Shape = conv ? [outputs, inputs, 1, 1] : [outputs, inputs];
    this.outputs = outputs;
    this.#label = w.prefix;
    this.#weight = w.param("weight", shape, (raw) =>
      packLinear(raw.reshape([outputs, inputs]), { dtype: w.store.dtype, geglu, label: w.name("weight") }),
    );
    this.#bias = bias ? vector(w, "bias", outputs) : undefined;
  }

  /** `[…, inputs] → […, outputs]` (half as many outputs for GEGLU). */
  forward(x: Tensor, options: Omit<LinearOptions, "bias" | "label"> = {}): Tensor {
    return this.#weight.use((weight) =>
      linear(x, weight, {
        ...options,
        ...(this.#bias && { bias: this.#bias.value }),
        label: `linear ${this.#label}`,
      }),
    );
  }
}

/** Several Linears without bias on the same input as one product: outputs side by side (q, k and v). */
export class FusedLinear {
  readonly #label: string;
  readonly #weight: Parameter<PackedLinear>;
  readonly #bias: Parameter<Tensor> | undefined;

  constructor(
    w: Weights,
    names: readonly string[],
    inputs: number,
    outputsEach: number,
    config: { readonly bias?: boolean; readonly conv?: boolean } = {},
  ) {
    const shape: Shape = config.conv === true ? [outputsEach, inputs, 1, 1] : [outputsEach, inputs];
    this.#label = w.name(names.join("+"));
    this.#weight = w.params(
      names.map((n) => `${n}.weight`),
      names.map(() => shape),
      (raw) =>
        packLinear(
          raw.map((r) => r.reshape([outputsEach, inputs])),
          { dtype: w.store.dtype, label: this.#label },
        ),
    );
    this.#bias =
      config.bias === true
        ? w.params(
            names.map((n) => `${n}.bias`),
            names.map(() => [outputsEach]),
            (raw) => joinVectors(raw, this.#label),
          )
        : undefined;
  }

  /** `[…, inputs] → […, names · outputsEach]` */
  forward(x: Tensor): Tensor {
    return this.#weight.use((weight) =>
      linear(x, weight, {
        ...(this.#bias && { bias: this.#bias.value }),
        label: `linear ${this.#label}`,
      }),
    );
  }
}

/** Vectors end to end, in f32. */
function joinVectors(raw: readonly Tensor[], label: string): Tensor {
  const { device } = raw[0]!;
  const out = Tensor.empty(device, [raw.reduce((n, r) => n + r.size, 0)], "f32", label);
  let offset = 0;
  for (const r of raw) {
    const part = r.dtype === "f32" ? r : cast(r, "f32");
    device.copy(
      { ...part.binding(), size: part.bytes },
      { ...out.binding(), offset: out.binding().offset + offset, size: part.bytes },
    );
    offset += part.bytes;
  }
  return out;
}
