// AutoencoderKL: pictures to latents of an eighth of their size and back (diffusers AutoencoderKL, from
// CompVis/latent-diffusion). Frames are independent; callers choose how many to run at once.

import { Conv2d } from "../../nn/conv2d.js";
import { Linear } from "../../nn/linear.js";
import { GroupNorm } from "../../nn/norm.js";
import { consume } from "../../nn/step.js";
import type { Weights, WeightStore } from "../../nn/weights.js";
import { dims4 } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { ResnetBlock2D } from "../unet/resnet.js";
import { VAE_EPS, VAEMidBlock, vaeResnet } from "./blocks.js";
import { vaeFactor, type VAEConfig } from "./config.js";
import { inTiles, needsTiles } from "./tiling.js";

interface Level {
  readonly resnets: readonly ResnetBlock2D[];
  /** To the next level's size. */
  readonly resample: Conv2d | undefined;
}

function level(w: Weights, count: number, inputs: number, outputs: number, groups: number, resample: Conv2d | undefined): Level {
  const resnets = Array.from({ length: count }, (_, i) => vaeResnet(w.at("resnets").at(i), i === 0 ? inputs : outputs, outputs, groups));
  return { resnets, resample };
}

/** Latents to pictures. */
export class Decoder {
  readonly #postQuant: Linear | undefined;
  readonly #convIn: Conv2d;
  readonly #mid: VAEMidBlock;
  readonly #levels: readonly Level[];
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;

  constructor(w: Weights, config: VAEConfig) {
    const { latentChannels, groups, layersPerBlock } = config;
    const widths = config.blockOutChannels.toReversed();
    const deepest = widths[0]!;
    const d = w.at("decoder");
    this.#postQuant = config.postQuantConv ? new Linear(w.at("post_quant_conv"), latentChannels, latentChannels, { conv: true }) : undefined;
    this.#convIn = new Conv2d(d.at("conv_in"), latentChannels, deepest);
    this.#mid = new VAEMidBlock(d.at("mid_block"), deepest, groups, config.midAttention);
    this.#levels = widths.map((outputs, i) => {
      const at = d.at("up_blocks").at(i);
      const up = i < widths.length - 1 ? new Conv2d(at.at("upsamplers.0.conv"), outputs, outputs, { doubled: true }) : undefined;
      return level(at, layersPerBlock + 1, widths[i - 1] ?? deepest, outputs, groups, up);
    });
    this.#normOut = new GroupNorm(d.at("conv_norm_out"), groups, widths.at(-1)!, VAE_EPS);
    this.#convOut = new Conv2d(d.at("conv_out"), widths.at(-1)!, 3);
  }

  /** Unscaled latents `[f, h, w, 4]` → pictures `[f, 8h, 8w, 3]`, about −1 … 1. */
  forward(z: Tensor): Tensor {
    return z.device.scope(() => {
      let y = this.#convIn.forward(this.#postQuant ? this.#postQuant.forward(z) : z);
      y = this.#mid.forward(y);
      for (const { resnets, resample } of this.#levels) {
        for (const resnet of resnets) y = consume([y], () => resnet.forward(y));
        if (resample) {
          const [, h, w] = dims4(y, "VAE decoder");
          y = consume([y], () => resample.forward(y, { upsampleTo: [2 * h, 2 * w] }));
        }
      }
      const n = consume([y], () => this.#normOut.forward(y, { activation: "silu" }));
      return consume([n], () => this.#convOut.forward(n));
    });
  }
}

/** Pictures to the mean and log-variance of their latents. */
export class Encoder {
  readonly #convIn: Conv2d;
  readonly #levels: readonly Level[];
  readonly #mid: VAEMidBlock;
  readonly #normOut: GroupNorm;
  readonly #convOut: Conv2d;
  readonly #quant: Linear | undefined;

  constructor(w: Weights, config: VAEConfig) {
    const { blockOutChannels: widths, latentChannels, groups, layersPerBlock } = config;
    const deepest = widths.at(-1)!;
    const e = w.at("encoder");
    this.#convIn = new Conv2d(e.at("conv_in"), 3, widths[0]!);
    this.#levels = widths.map((outputs, i) => {
      const at = e.at("down_blocks").at(i);
      // Pads right and below only, as CompVis's Downsample does.
      const down =
        i < widths.length - 1 ? new Conv2d(at.at("downsamplers.0.conv"), outputs, outputs, { stride: 2, padding: [0, 0, 1, 1] }) : undefined;
      return level(at, layersPerBlock, widths[i - 1] ?? outputs, outputs, groups, down);
    });
    this.#mid = new VAEMidBlock(e.at("mid_block"), deepest, groups, config.midAttention);
    this.#normOut = new GroupNorm(e.at("conv_norm_out"), groups, deepest, VAE_EPS);
    this.#convOut = new Conv2d(e.at("conv_out"), deepest, 2 * latentChannels);
    this.#quant = config.quantConv ? new Linear(w.at("quant_conv"), 2 * latentChannels, 2 * latentChannels, { conv: true }) : undefined;
  }

  /** Pictures `[f, h, w, 3]` in −1 … 1 → `[f, h/8, w/8, 8]`: mean, then log-variance (clamp it to −30 … 20 before use). */
  forward(x: Tensor): Tensor {
    return x.device.scope(() => {
      let y = this.#convIn.forward(x);
      for (const { resnets, resample } of this.#levels) {
        for (const resnet of resnets) y = consume([y], () => resnet.forward(y));
        if (resample) y = consume([y], () => resample.forward(y));
      }
      y = this.#mid.forward(y);
      const n = consume([y], () => this.#normOut.forward(y, { activation: "silu" }));
      const moments = consume([n], () => this.#convOut.forward(n));
      return this.#quant ? this.#quant.forward(moments) : moments;
    });
  }
}

/** Both halves; a text-to-video run needs only the decoder, so the encoder is built on request. */
export class AutoencoderKL {
  readonly config: VAEConfig;
  readonly store: WeightStore;
  readonly decoder: Decoder;
  readonly encoder: Encoder | undefined;

  constructor(w: Weights, config: VAEConfig, parts: { readonly encoder: boolean }) {
    this.config = config;
    this.store = w.store;
    this.decoder = new Decoder(w, config);
    this.encoder = parts.encoder ? new Encoder(w, config) : undefined;
    if (!this.encoder) w.store.ignore(/^(encoder|quant_conv)\./);
  }

  /** Sides of a tile as latents and as a picture. */
  get tile(): { readonly latents: number; readonly pixels: number } {
    const { sampleSize } = this.config;
    return { latents: Math.floor(sampleSize / vaeFactor(this.config)), pixels: sampleSize };
  }

  /** Unscaled latents `[f, h, w, 4]` → pictures `[f, 8h, 8w, 3]`; in tiles where `tiling` and they exceed one. */
  decode(z: Tensor, tiling: boolean): Tensor {
    const sizes = { input: this.tile.latents, output: this.tile.pixels };
    const [, h, w] = dims4(z, "VAE: latents");
    if (!tiling || !needsTiles([h, w], sizes)) return this.decoder.forward(z);
    return inTiles(z, sizes, 3, (tile) => this.decoder.forward(tile));
  }

  /** Pictures `[f, h, w, 3]` → moments (see Encoder); in tiles where `tiling` and they exceed one. */
  encode(x: Tensor, tiling: boolean): Tensor {
    const { encoder, config } = this;
    if (!encoder) throw new Error("the VAE was built without its encoder");
    const sizes = { input: this.tile.pixels, output: this.tile.latents };
    const [, h, w] = dims4(x, "VAE: pictures");
    if (!tiling || !needsTiles([h, w], sizes)) return encoder.forward(x);
    return inTiles(x, sizes, 2 * config.latentChannels, (tile) => encoder.forward(tile));
  }
}
