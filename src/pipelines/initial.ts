// What a run starts from: noise out of torch's generator, drawn in the order in which diffusers draws it.

import type { TorchGenerator } from "../tensor/torch-generator.js";
import type { LongSettings } from "./long.js";

/**
 * The noise of a run in torch's layout `[1, c, f, h, w]`; `shape` is the engine's `[f, h, w, c]`. Later draws of the run
 * follow from the same generator. The first sample is the scheduler's `initNoiseSigma` times it.
 */
export function initialNoise(
  generator: TorchGenerator,
  shape: readonly [number, number, number, number],
  s: LongSettings,
): Float32Array {
  const [f, h, w, c] = shape;
  const noise = generator.randn(f * h * w * c);
  if (s.long === "free-noise") shuffleNoise(noise, shape, s, generator);
  return noise;
}

/**
 * FreeNoise's noise, in place: behind the first window, each run of `stride` frames repeats the one a window before it, in
 * an order of its own (diffusers' "shuffle_context"; what was shuffled is shuffled again a window later).
 */
function shuffleNoise(
  noise: Float32Array,
  [f, h, w, c]: readonly [number, number, number, number],
  { context, stride }: LongSettings,
  generator: TorchGenerator,
): void {
  const plane = h * w;
  for (let start = context; start < f; start += stride) {
    const order = generator.randperm(stride); // drawn whole, also where the clip ends within the run
    for (const [i, from] of order.subarray(0, f - start).entries())
      for (let channel = 0; channel < c; channel++) {
        const at = (channel * f + start - context + from) * plane;
        noise.copyWithin((channel * f + start + i) * plane, at, at + plane);
      }
  }
}
