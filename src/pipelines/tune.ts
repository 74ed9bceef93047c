// Autotuning for a whole run: every site that text encoder, UNet and VAE come by, found by planning the run.

import { tune, type TuneOptions, type Tuned } from "../../kernels/tune.js";
import type { Device } from "../gpu/device.js";
import type { GenerateOptions } from "./options.js";
import { planOn, withNetworks, type PlannedModel } from "./plan.js";

/**
 * Makes `device` choose the fastest kernels for a run of a model, best before the model is loaded: what is timed takes
 * scratch memory of the layers' sizes. Weights are not read. What the cache knows is not timed again; the choices hold
 * for every run on this device from then on.
 * @throws what `planPipeline` throws
 */
export async function tunePipeline(
  device: Device,
  what: PlannedModel,
  options: GenerateOptions,
  tuning: TuneOptions = {},
): Promise<readonly Tuned[]> {
  const precision = what.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  return withNetworks({ ...what, precision }, (configs, how) =>
    tune(device, (dry) => void planOn(dry, configs, options, how), tuning),
  );
}
