// T2I-Adapters in a run: their maps, computed once from the run's pictures, for the down blocks' results at every step in which
// they act. scale is diffusers' adapter_conditioning_scale, end its adapter_conditioning_factor.

import { cast } from "../../../kernels/elementwise.js";
import { frameOf, type Clip } from "../../io/frames.js";
import { grey } from "../../io/preprocess.js";
import { foldPixels } from "../../models/adapters/t2i-adapter.js";
import { Tensor } from "../../tensor/tensor.js";
import { coverClip } from "../video-latents.js";
import { prepared } from "../condition.js";
import type { ConditionedRun } from "./conditions.js";
import { FeatureCondition } from "./feature-condition.js";
import type { T2IAdapter } from "./network.js";
import type { ControlSettings } from "./options.js";
import { wayInto } from "./pictures.js";

/** Frames whose maps are computed at once. */
const BATCH = 8;

/** Computes a T2I-Adapter's maps. */
export async function t2iCondition(
  { frames, scale, start, end }: Pick<ControlSettings, "frames" | "scale" | "start" | "end">,
  { model, name, awake }: T2IAdapter,
  run: ConditionedRun,
): Promise<FeatureCondition> {
  const { device, dtype, settings, window, whole, steps } = run;
  const clip = coverClip(frames, settings.width, settings.height);
  const options = { to: "outputs", window, whole, steps, count: clip.count, batch: BATCH } as const;
  const condition = new FeatureCondition({ ...options, scale, start, end });
  const { pictureChannels, factor, inChannels } = model.config;
  const [h, w] = [clip.height / factor, clip.width / factor];
  const maps = (first: number, n: number) => {
    const pixels = unitPixels(clip, first, n, pictureChannels);
    const values = foldPixels(pixels, [n, clip.height, clip.width, pictureChannels], factor);
    const x = Tensor.from(device, values, [n, h, w, inChannels], "f32", "control pictures");
    return model.forward(dtype === "f32" ? x : cast(x, dtype, "cast control pictures"));
  };
  return awake(() =>
    prepared(condition, async () => {
      using check = condition.compute(device, maps);
      await run.finite(check, wayInto(name));
    }),
  );
}

/** Frames `first … first + n` as numbers from 0 to 1: `[n, h, w, channels]`, a single channel being PIL's luminance. */
function unitPixels(clip: Clip, first: number, n: number, channels: 1 | 3): Float32Array {
  const plane = clip.width * clip.height;
  const values = new Float32Array(n * plane * channels);
  for (let i = 0; i < n; i++) {
    const { rgba } = frameOf(clip, first + i);
    const light = channels === 1 ? grey(frameOf(clip, first + i)) : undefined;
    for (let p = 0; p < plane; p++)
      for (let k = 0; k < channels; k++)
        values[(i * plane + p) * channels + k] = (light ? light[p]! : rgba[4 * p + k]!) / 255;
  }
  return values;
}
