// Small pictures of latents without the decoder: colour is close to linear in the latents of one position, so the map
// (latents, 1) → RGB is fitted once per model, by least squares over the decoder's answer to plain latents.

import type { AutoencoderKL } from "../models/vae/vae.js";
import { Tensor } from "../tensor/tensor.js";
import { TorchGenerator } from "../tensor/torch-generator.js";
import type { Frames } from "./events.js";

/** Side of the uniform patches, in latents, and their number. */
const SIDE = 4;
const SAMPLES = 24;

/** Fits the map at the first preview, then applies it on the host. */
export class Previewer {
  readonly #vae: AutoencoderKL;
  #map: Promise<number[][]> | undefined;

  constructor(vae: AutoencoderKL) {
    this.#vae = vae;
  }

  /** Latents `[f, h, w, c]` (scaled, as the sampler has them) as `h × w` pictures. */
  async run(latents: Tensor): Promise<Frames> {
    const [count, height, width, c] = latents.shape as [number, number, number, number];
    const values = await latents.read();
    const map = await (this.#map ??= this.#fitted(latents, c));
    const rgba = new Uint8Array(count * height * width * 4);
    for (let p = 0; p < count * height * width; p++) {
      for (let k = 0; k < 3; k++) {
        let v = map[k]![c]!;
        for (let i = 0; i < c; i++) v += map[k]![i]! * values[p * c + i]!;
        rgba[4 * p + k] = Math.round(Math.min(1, Math.max(0, v / 2 + 0.5)) * 255);
      }
      rgba[4 * p + 3] = 255;
    }
    return { width, height, count, rgba };
  }

  dispose(): void {
    this.#map = undefined;
  }

  /** One that fails is fitted again at the next preview. */
  async #fitted(latents: Tensor, c: number): Promise<number[][]> {
    try {
      return await this.#fit(latents, c);
    } catch (error) {
      this.#map = undefined;
      throw error;
    }
  }

  async #fit({ device }: Tensor, c: number): Promise<number[][]> {
    const z = new TorchGenerator(0).randn(SAMPLES * c);
    const { scalingFactor } = this.#vae.config;
    const plane = SIDE * SIDE;
    const patches = Float32Array.from(
      { length: SAMPLES * plane * c },
      (_, i) => z[Math.floor(i / (plane * c)) * c + (i % c)]! / scalingFactor,
    );
    const rgb = await this.#vae.store.awake(async () => {
      using pictures = device.scope(() =>
        this.#vae.decoder.forward(Tensor.from(device, patches, [SAMPLES, SIDE, SIDE, c], "f32", "preview patches")),
      );
      return await pictures.read();
    });
    const pixels = rgb.length / 3 / SAMPLES;
    const means = [0, 1, 2].map((k) =>
      Array.from({ length: SAMPLES }, (_, s) => {
        let sum = 0;
        for (let p = 0; p < pixels; p++) sum += rgb[(s * pixels + p) * 3 + k]!;
        return sum / pixels;
      }),
    );
    const rows = Array.from({ length: SAMPLES }, (_, s) => [...z.subarray(s * c, (s + 1) * c), 1]);
    return means.map((target) => leastSquares(rows, target));
  }
}

/** x minimising ‖A x − b‖, by the normal equations (a handful of unknowns, well conditioned). */
function leastSquares(rows: readonly (readonly number[])[], b: readonly number[]): number[] {
  const n = rows[0]!.length;
  const m = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (_, j) => rows.reduce((sum, r) => sum + r[i]! * r[j]!, i === j ? 1e-6 : 0)),
    rows.reduce((sum, r, k) => sum + r[i]! * b[k]!, 0),
  ]);
  for (let i = 0; i < n; i++) {
    const pivot = m[i]!;
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const f = m[j]![i]! / pivot[i]!;
      for (let k = i; k <= n; k++) m[j]![k]! -= f * pivot[k]!;
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}
