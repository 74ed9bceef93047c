// Latents to 8-bit pictures, a few frames at a time so that memory does not grow with the clip. Recorded for the first
// frames, replayed for the others.

import { cast } from "../../kernels/elementwise.js";
import { copy } from "../../kernels/copy.js";
import { countNonFinite } from "../../kernels/finite.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import { toPixels } from "../../kernels/pixels.js";
import type { Recording } from "../gpu/device.js";
import type { AutoencoderKL } from "../models/vae/vae.js";
import { vaeFactor } from "../models/vae/config.js";
import { Tensor } from "../tensor/tensor.js";

/** At most so many pixels are decoded at once: a 512 × 512 frame, or tile. */
const MAX_PIXELS = 2 ** 18;

/** What one call decodes. */
export interface Decoded {
  /** u32 RGBA `[count, height, width]`, overwritten by the next call. */
  readonly pixels: Tensor;
  /** u32 `[1]`: how many values were not finite. */
  readonly check: Tensor;
}

/** Decodes the frames of one clip. */
export class FrameDecoder implements Disposable {
  /** Frames per call: a divisor of the clip's. */
  readonly count: number;
  readonly #vae: AutoencoderKL;
  readonly #pin: Disposable;
  readonly #tiling: boolean;
  readonly #dtype: "f32" | "f16";
  readonly #latents: Tensor;
  readonly #input: Tensor;
  readonly #rounding: { readonly truncate?: boolean };
  #decoded: (Decoded & { readonly recording: Recording }) | undefined;

  /** `latents` f32 `[frames, h, w, c]`, scaled as the sampler has them; they stay the caller's. `tiling`: see inTiles. */
  constructor(
    { vae, dtype }: { readonly vae: AutoencoderKL; readonly dtype: "f32" | "f16" },
    latents: Tensor,
    { tiling = false, ...rounding }: { readonly truncate?: boolean; readonly tiling?: boolean } = {},
  ) {
    this.#rounding = rounding;
    const [frames, h, w, c] = latents.shape as [number, number, number, number];
    if (vae.config.shiftFactor !== 0)
      throw new Error("a VAE with a shift factor is not of the Stable Diffusion 1.5 family");
    const side = tiling ? vae.tile.latents : Infinity;
    const pixels = Math.min(h, side) * Math.min(w, side) * vaeFactor(vae.config) ** 2;
    const most = Math.min(frames, Math.max(1, Math.floor(MAX_PIXELS / pixels)));
    this.count = Array.from({ length: most }, (_, i) => most - i).find((n) => frames % n === 0)!;
    this.#vae = vae;
    this.#tiling = tiling;
    this.#dtype = dtype;
    this.#latents = latents;
    this.#input = Tensor.empty(latents.device, [this.count, h, w, c], "f32", "latents to decode");
    this.#pin = vae.store.pin();
  }

  /** Records the decoding of `count` frames from frame `start`. */
  record(start: number): Decoded {
    const { device } = this.#input;
    const frameBytes = this.#input.bytes / this.count;
    copy(this.#latents, start * frameBytes, this.#input, 0, this.#input.bytes);
    if (this.#decoded) device.replay(this.#decoded.recording);
    else {
      const { result, recording } = device.record(() => device.scope(() => this.#decode()));
      for (const t of [result.pixels, result.check]) device.untrack(t);
      this.#decoded = { ...result, recording };
    }
    return this.#decoded;
  }

  dispose(): void {
    this.#decoded?.pixels.dispose();
    this.#decoded?.check.dispose();
    this.#decoded?.recording.dispose();
    this.#pin[Symbol.dispose]();
    this.#decoded = undefined;
    this.#input.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #decode(): Decoded {
    const unscaled = linearCombination([[this.#input, 1 / this.#vae.config.scalingFactor]], "unscale latents");
    const z = this.#dtype === "f32" ? unscaled : cast(unscaled, this.#dtype, "cast latents");
    const x = this.#vae.decode(z, this.#tiling);
    return { pixels: toPixels(x, this.#rounding), check: countNonFinite(x) };
  }
}
