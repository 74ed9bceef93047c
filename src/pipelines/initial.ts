// What a run starts from: noise out of torch's generator, drawn in the order in which diffusers draws it.

import type { Scheduler } from "../schedulers/index.js";
import type { TorchGenerator } from "../tensor/torch-generator.js";

/**
 * The first sample in torch's layout `[1, c, f, h, w]`; `shape` is the engine's `[f, h, w, c]`. Later draws of the run
 * follow from the same generator.
 */
export function initialLatents(
  generator: TorchGenerator,
  [f, h, w, c]: readonly [number, number, number, number],
  scheduler: Scheduler,
): Float32Array {
  return generator.randn(f * h * w * c).map((v) => v * scheduler.initNoiseSigma);
}
