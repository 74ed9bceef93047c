// Conv2d over channels-last frames. Weights by PyTorch name and shape ([out, in, kh, kw]).

import { conv2d, packConv2d, type Conv2dOptions, type PackedConv2d } from "../../kernels/conv2d.js";
import { convForm } from "../../kernels/winograd.js";
import type { Tensor } from "../tensor/tensor.js";
import { vector } from "./linear.js";
import type { Parameter, Weights } from "./weights.js";

export interface Conv2dConfig {
  /** Square kernel size; default 3. */
  readonly kernel?: number;
  readonly stride?: 1 | 2;
  /** `[top, left, bottom, right]`; default half the kernel on every side. */
  readonly padding?: readonly [number, number, number, number];
  /** Its input is always upsampled to twice the size, or one less, with the default padding. */
  readonly doubled?: boolean;
}

/** torch.nn.Conv2d with bias, `[frames, h, w, inputs] → [frames, h', w', outputs]`. */
export class Conv2d {
  readonly #label: string;
  readonly #weight: Parameter<PackedConv2d>;
  readonly #bias: Parameter<Tensor>;
  readonly #options: Pick<Conv2dOptions, "stride" | "padding">;

  constructor(w: Weights, inputs: number, outputs: number, config: Conv2dConfig = {}) {
    const { kernel = 3, stride = 1, doubled = false } = config;
    const half = Math.floor(kernel / 2);
    this.#label = w.prefix;
    this.#options = { stride, padding: config.padding ?? [half, half, half, half] };
    // Not with 8-bit codes: transformed weights would lose more by them. Streamed ones go by the rule, for the same bits.
    const form =
      w.store.storage.int8 === true
        ? "direct"
        : convForm({ inputs, outputs, kernel, stride, doubled }, w.device.capabilities);
    this.#weight = w.param("weight", [outputs, inputs, kernel, kernel], (raw) =>
      packConv2d(raw, { dtype: w.store.dtype, form, label: w.name("weight") }),
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
