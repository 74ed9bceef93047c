// GroupNorm and LayerNorm with their scale and shift.

import { groupNorm, groupNormInRows, type GroupNormOptions } from "../../kernels/group-norm.js";
import { layerNorm, type LayerNormOptions } from "../../kernels/layer-norm.js";
import type { Tensor } from "../tensor/tensor.js";
import { vector } from "./linear.js";
import { rows } from "./rows.js";
import type { Parameter, Weights } from "./weights.js";

/** torch.nn.GroupNorm over `[frames, h, w, c]`; SiLU, a second source and normalising frames jointly on request. */
export class GroupNorm {
  readonly #label: string;
  readonly #groups: number;
  readonly #eps: number;
  readonly #weight: Parameter<Tensor>;
  readonly #bias: Parameter<Tensor>;

  constructor(w: Weights, groups: number, channels: number, eps: number) {
    if (channels % groups !== 0)
      throw new Error(`GroupNorm ${w.prefix}: ${channels} channels do not divide into ${groups} groups`);
    this.#label = w.prefix;
    this.#groups = groups;
    this.#eps = eps;
    this.#weight = vector(w, "weight", channels);
    this.#bias = vector(w, "bias", channels);
  }

  forward(x: Tensor, options: Pick<GroupNormOptions, "activation" | "x2" | "framesJointly"> = {}): Tensor {
    return groupNorm(x, { ...options, ...this.#own() });
  }

  /**
   * Normalises `framesJointly` frames together, some at a time: the result takes frames `start … start + count` of x, all
   * within one set, to normalised ones. x may be overwritten as they are done.
   */
  inRows(x: Tensor, framesJointly: number): (start: number, count: number) => Tensor {
    if (framesJointly === 1) return (start, count) => this.forward(rows(x, start, count));
    const normalise = groupNormInRows(x, { ...this.#own(), framesJointly });
    return (start, count) => x.device.scope(() => normalise(rows(x, start, count), Math.floor(start / framesJointly)));
  }

  #own(): Pick<GroupNormOptions, "groups" | "eps" | "weight" | "bias"> & { readonly label: string } {
    return {
      groups: this.#groups,
      eps: this.#eps,
      weight: this.#weight.value,
      bias: this.#bias.value,
      label: `groupNorm ${this.#label}`,
    };
  }
}

/** torch.nn.LayerNorm over the last dimension, with a positional encoding added on request. */
export class LayerNorm {
  readonly #label: string;
  readonly #eps: number;
  readonly #weight: Parameter<Tensor>;
  readonly #bias: Parameter<Tensor>;

  constructor(w: Weights, channels: number, eps = 1e-5) {
    this.#label = w.prefix;
    this.#eps = eps;
    this.#weight = vector(w, "weight", channels);
    this.#bias = vector(w, "bias", channels);
  }

  forward(x: Tensor, options: Pick<LayerNormOptions, "add" | "addIndex"> = {}): Tensor {
    return layerNorm(x, {
      ...options,
      eps: this.#eps,
      weight: this.#weight.value,
      bias: this.#bias.value,
      label: `layerNorm ${this.#label}`,
    });
  }
}
