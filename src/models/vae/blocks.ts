// The VAE's middle: resnet, attention over all positions of a frame with one head, resnet.

import { SelfAttention } from "../../nn/attention.js";
import { GroupNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Weights } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { ResnetBlock2D } from "../unet/resnet.js";

/** Epsilon of every GroupNorm in the VAE. */
export const VAE_EPS = 1e-6;

/** A resnet of the VAE: no timestep. */
export function vaeResnet(w: Weights, inputs: number, outputs: number, groups: number): ResnetBlock2D {
  return new ResnetBlock2D(w, { inputs, outputs, groups, eps: VAE_EPS });
}

class VAEAttention {
  readonly #norm: GroupNorm;
  readonly #attention: SelfAttention;

  constructor(w: Weights, channels: number, groups: number) {
    this.#norm = new GroupNorm(w.at("group_norm"), groups, channels, VAE_EPS);
    this.#attention = new SelfAttention(w, { channels, heads: 1, bias: true });
  }

  forward(x: Tensor): Tensor {
    const [frames, h, w, c] = dims4(x, "VAE attention: x");
    const tokens = this.#norm.forward(x).reshape([frames, h * w, c]);
    return this.#attention.forward(tokens, x.reshape([frames, h * w, c])).reshape([frames, h, w, c]);
  }
}

/** diffusers UNetMidBlock2D as the VAE has it. */
export class VAEMidBlock {
  readonly #first: ResnetBlock2D;
  readonly #attention: VAEAttention | undefined;
  readonly #second: ResnetBlock2D;

  constructor(w: Weights, channels: number, groups: number, attention: boolean) {
    this.#first = vaeResnet(w.at("resnets.0"), channels, channels, groups);
    this.#attention = attention ? new VAEAttention(w.at("attentions.0"), channels, groups) : undefined;
    this.#second = vaeResnet(w.at("resnets.1"), channels, channels, groups);
  }

  /** `[frames, h, w, c]` to the same shape; `x` is used up. */
  forward(x: Tensor): Tensor {
    let y = consume([x], () => this.#first.forward(x));
    const attention = this.#attention;
    if (attention) y = consume([y], () => attention.forward(y));
    return consume([y], () => this.#second.forward(y));
  }
}
