// Pictures to the mean and log-variance of their latents, a few frames at a time so that memory does not grow with the
// clip. Recorded for the first frames, replayed for the others; the counterpart of frame-decoder.ts.

import { cast } from "../../kernels/elementwise.js";
import { copy } from "../../kernels/copy.js";
import { countNonFinite } from "../../kernels/finite.js";
import type { Device, Recording } from "../gpu/device.js";
import type { AutoencoderKL } from "../models/vae/vae.js";
import { vaeFactor } from "../models/vae/config.js";
import { Tensor } from "../tensor/tensor.js";

/** At most so many pixels are encoded at once: a 512 × 512 frame. */
const MAX_PIXELS = 2 ** 18;

/** What one call encodes. */
export interface Encoded {
  /** f32 `[count, h, w, 2·c]`: mean, then log-variance; overwritten by the next call. */
  readonly moments: Tensor;
  /** u32 `[1]`: how many values were not finite. */
  readonly check: Tensor;
}

/** Encodes the frames of one clip. */
export class FrameEncoder implements Disposable {
  /** Frames per call: a divisor of the clip's. */
  readonly count: number;
  readonly #vae: AutoencoderKL;
  readonly #tiling: boolean;
  readonly #pin: Disposable;
  readonly #dtype: "f32" | "f16";
  readonly #input: Tensor;
  #encoded: (Encoded & { readonly recording: Recording }) | undefined;

  /** `tiling`: see inTiles. @throws Error where the VAE was loaded without its encoder */
  constructor(
    { device, vae, dtype }: { readonly device: Device; readonly vae: AutoencoderKL; readonly dtype: "f32" | "f16" },
    { frames, width, height }: { readonly frames: number; readonly width: number; readonly height: number },
    tiling = false,
  ) {
    if (!vae.encoder)
      throw new Error(
        "this run starts from pictures, but the VAE was loaded without its encoder; load with encoder: true",
      );
    const factor = vaeFactor(vae.config);
    if (width % factor !== 0 || height % factor !== 0)
      throw new Error(`pictures of ${width}x${height} have no whole latents; their sides are multiples of ${factor}`);
    const side = tiling ? vae.tile.pixels : Infinity;
    const most = Math.min(
      frames,
      Math.max(1, Math.floor(MAX_PIXELS / (Math.min(width, side) * Math.min(height, side)))),
    );
    this.count = Array.from({ length: most }, (_, i) => most - i).find((n) => frames % n === 0)!;
    this.#vae = vae;
    this.#tiling = tiling;
    this.#dtype = dtype;
    this.#input = Tensor.empty(device, [this.count, height, width, 3], dtype, "pictures to encode");
    this.#pin = vae.store.pin();
  }

  /** Records the encoding of the next `count` frames, f32 `[count, height, width, 3]` in −1 … 1. */
  record(pictures: Float32Array): Encoded {
    const { device, shape } = this.#input;
    device.scope(() => {
      const x = Tensor.from(device, pictures, shape, "f32", "pictures");
      const y = this.#dtype === "f32" ? x : cast(x, this.#dtype, "cast pictures");
      copy(y, 0, this.#input, 0, y.bytes);
    });
    if (this.#encoded) device.replay(this.#encoded.recording);
    else {
      const { result, recording } = device.record(() => device.scope(() => this.#encode()));
      for (const t of [result.moments, result.check]) device.untrack(t);
      this.#encoded = { ...result, recording };
    }
    return this.#encoded;
  }

  dispose(): void {
    this.#encoded?.moments.dispose();
    this.#encoded?.check.dispose();
    this.#encoded?.recording.dispose();
    this.#encoded = undefined;
    this.#pin[Symbol.dispose]();
    this.#input.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #encode(): Encoded {
    const y = this.#vae.encode(this.#input, this.#tiling);
    const moments = this.#dtype === "f32" ? y : cast(y, "f32", "cast moments");
    return { moments, check: countNonFinite(moments) };
  }
}
