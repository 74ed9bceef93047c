// FreeInit (Wu et al. 2023, arXiv 2312.07537): a finished clip is noised again to the last training timestep, its low
// frequencies in time and space are kept, the high ones replaced by fresh noise, and the run repeated from there. Training
// videos' noised latents still carry their low frequencies, which pure noise lacks. Numerically diffusers' FreeInitMixin.

import { fftn, type Complex } from "../tensor/fft.js";

/** Shapes of the low-pass filter. */
export type FreeInitFilter = "butterworth" | "gaussian";

/** diffusers' defaults: the order of Butterworth's filter, the share of the frequencies in space and time that it keeps. */
const ORDER = 4;
const SPATIAL_STOP = 0.25;
const TEMPORAL_STOP = 0.25;

/** What the next iteration starts from; all tensors in torch's layout `[1, c, f, h, w]`, of unit noise level. */
export function reinitialise(
  shape: readonly [c: number, f: number, h: number, w: number],
  run: {
    /** The clip that the last iteration ended with. */
    readonly clean: Float32Array;
    /** The noise the first iteration began with. */
    readonly initial: Float32Array;
    readonly fresh: Float32Array;
    /** √ᾱ and √(1 − ᾱ) at the last training timestep. */
    readonly signal: number;
    readonly noise: number;
    readonly filter: FreeInitFilter;
  },
): Float32Array {
  const { clean, initial, fresh, signal, noise } = run;
  const [c, ...volume] = shape;
  const mask = lowPass(volume, run.filter);
  const out = new Float32Array(clean.length);
  for (let channel = 0; channel < c; channel++) {
    const at = channel * mask.length;
    // low · noised + (1 − low) · fresh = fresh + low · (noised − fresh): one transform there and one back
    const x: Complex = { re: new Float64Array(mask.length), im: new Float64Array(mask.length) };
    for (let i = 0; i < mask.length; i++) x.re[i] = signal * clean[at + i]! + noise * initial[at + i]! - fresh[at + i]!;
    fftn(x, volume);
    for (let i = 0; i < mask.length; i++) {
      x.re[i]! *= mask[i]!;
      x.im[i]! *= mask[i]!;
    }
    fftn(x, volume, true);
    for (let i = 0; i < mask.length; i++) out[at + i] = fresh[at + i]! + x.re[i]!;
  }
  return out;
}

/**
 * The filter over frequencies in the transform's own order. As in diffusers it is centred at index n/2 of the shifted
 * transform: in odd sizes that is half a step beside the frequency 0.
 */
export function lowPass(volume: readonly number[], filter: FreeInitFilter): Float64Array {
  const [f = 1, h = 1, w = 1] = volume;
  const axis = (n: number) => Array.from({ length: n }, (_, k) => ((2 * ((k + Math.floor(n / 2)) % n)) / n - 1) ** 2);
  const [time, rows, columns] = [axis(f), axis(h), axis(w)];
  const response =
    filter === "butterworth"
      ? (d: number) => 1 / (1 + (d / SPATIAL_STOP ** 2) ** ORDER)
      : (d: number) => Math.exp(-d / (2 * SPATIAL_STOP ** 2));
  const mask = new Float64Array(f * h * w);
  let at = 0;
  for (const t of time)
    for (const y of rows)
      for (const x of columns) mask[at++] = response((SPATIAL_STOP / TEMPORAL_STOP) ** 2 * t + y + x);
  return mask;
}
