// Conv2d over channels-last frames. Weights by PyTorch name and shape ([out, in, kh, kw]).

import { conv2d, packConv2d, type Conv2dOptions, type PackedConv2d } from "../../kernels/conv2d.js";
import type { Tensor } from "../tensor/tensor.js";
import { vector } from "./linear.js";
import type { Parameter, Weights } from "./weights.js";

export interface Conv2dConfig {
  /** Square kernel size; default 3. */
  readonly kernel?: number;
  readonly stride?: 1 | 2;
  /** `[top, left, bottom, right]`; default half the kernel on every side. */
  readonly padding?: readonly [number, number, number, number];
}

/** torch.nn.Conv2d with bias, `[frames, h, w, inputs] → [frames, h', w', outputs]`. */
export class Conv2d {
  readonly #label: string;
  readonly #weight: Parameter<PackedConv2d>;
  readonly #bias: Parameter<Tensor>;
  readonly #options: Pick<Conv2dOptions, "stride" | "padding">;

  constructor(w: Weights, inputs: number, outputs: number, config: Conv2dConfig = {}) {
    const { kernel = 3, stride = 1 } = config;
    const half = Math.floor(kernel / 2);
    this.#label = w.prefix;
    this.#options = { stride, padding: config.padding ?? [half, half, half, half] };
    this.#weight = w.param("weight", [outputs, inputs, kernel, kernel], (raw) =>
      packConv2d(raw, { dtype: w.store.dtype, label: w.name("weight") }),
    );
    this.#bias = vector(w, "bias", outputs);
  }

  forward(x: Tensor, options: Omit<Conv2dOptions, "bias" | "stride" | "padding" | "label"> = {}): Tensor {
    return this.#weight.use((weight) =>
      conv2d(x, weight, {
        ...this.#options,
        ...options,
        bias: this.#bias.value,
        label: `conv2d ${this.#label}`,
      }),
    );
  }
}
