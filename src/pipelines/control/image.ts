// Image to video with AnimateLCM-I2V's encoder: a picture's latents, with the frame's position added, become maps for the UNet's
// way down. Source: G-U-N/AnimateLCM animatelcm_sd15 (pipeline_animation.py, unet.py, adapter.py).

import { cast } from "../../../kernels/elementwise.js";
import type { Picture } from "../../io/frames.js";
import type { FeatureAdapter } from "../../models/adapters/feature-adapter.js";
import { sinusoid } from "../../models/unet/motion.js";
import { vaeFactor } from "../../models/vae/config.js";
import type { WeightStore } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";
import { FrameEncoder } from "../frame-encoder.js";
import { clipMoments, coverClip, sampleLatents } from "../video-latents.js";
import { prepared } from "../condition.js";
import type { ConditionedRun } from "./conditions.js";
import { FeatureCondition } from "./feature-condition.js";
import { copyRows } from "../../../kernels/copy.js";

/** The image encoder that a motion file carries. */
export interface ImageEncoder {
  /** Its file. */
  readonly name: string;
  readonly model: FeatureAdapter;
  /** Its weights: they rest on the host but for the moment in which the maps are computed. */
  readonly store: Pick<WeightStore, "awake">;
}

export interface ImageInputs {
  /** The picture to animate; takes motion modules with an image encoder. Scaled to cover the clip (Lanczos), cut around its middle. */
  readonly image?: Picture;
  /** How much the frame's position counts: 0 stands still. Default 0.8. */
  readonly motionScale?: number;
  /** Moves the mean colours of each frame to the picture's (AnimateLCM-I2V's last step). Default true with a picture. */
  readonly colourMatch?: boolean;
}

export interface ImageSettings {
  readonly image: Picture;
  readonly encoder: ImageEncoder;
  readonly motionScale: number;
  readonly colourMatch: boolean;
}

/** β_end and training grid that AnimateLCM-I2V was made for. */
export const I2V_SCHEDULE = { betaEnd: 0.014, originalSteps: 200 } as const;

/** @throws Error where only one of picture and image encoder (its file's name) is there, naming both */
export function checkTogether(picture: boolean, encoder: string | undefined, motion: string | undefined): void {
  if (!picture && encoder !== undefined)
    throw new Error(
      `${encoder} carries an image encoder, which animates a picture, but no picture is given; give one (--image), or use AnimateLCM's text-to-video motion modules`,
    );
  if (picture && encoder === undefined)
    throw new Error(
      `a picture to animate takes motion modules with an image encoder (AnimateLCM-I2V), but ${motion ?? "this model"} has none; give such a file (--motion), or leave the picture out`,
    );
}

/** Fills in defaults. @throws Error where picture and encoder do not come together, naming both */
export function settleImage(
  o: ImageInputs,
  encoder: ImageEncoder | undefined,
  motion: string | undefined,
): ImageSettings | undefined {
  const { image, motionScale = 0.8 } = o;
  if (!image && (o.motionScale !== undefined || o.colourMatch !== undefined))
    throw new Error(
      "motion scale and colour matching belong to image to video, and there is no picture; leave them out",
    );
  checkTogether(image !== undefined, encoder?.name, motion);
  if (!image || !encoder) return undefined;
  if (!Number.isFinite(motionScale))
    throw new Error(`motion scale is ${motionScale}, expected a number, 0 for a still picture`);
  return { image, encoder, motionScale, colourMatch: o.colourMatch ?? true };
}

/** Frames whose maps are computed at once. */
const BATCH = 8;

/** Draws the picture's latents from the run's generator (before the first sample) and computes its maps. */
export async function imageCondition(
  { image, encoder, motionScale }: ImageSettings,
  run: ConditionedRun,
): Promise<FeatureCondition> {
  const { device, dtype, settings, vae, window, whole, steps, generator } = run;
  const { frames } = settings;
  const clip = coverClip({ ...image, count: 1 }, settings.width, settings.height);
  const { latentChannels: c, scalingFactor } = vae.config;
  const factor = vaeFactor(vae.config);
  const [h, w] = [settings.height / factor, settings.width / factor];
  using frameEncoder = new FrameEncoder(run, { frames: 1, width: clip.width, height: clip.height });
  const moments = await clipMoments(frameEncoder, clip, (check) => run.finite(check, "the VAE encoder"));
  const latents = sampleLatents(moments, [1, h, w, c], generator).map((v) => v * scalingFactor);

  const width = encoder.model.config.channels[0]!;
  const positions = sinusoid(frames, width).map((v) => v * motionScale);
  const condition = new FeatureCondition({
    scale: 1,
    start: 0,
    end: 1,
    to: "features",
    window,
    whole,
    steps,
    count: frames,
    batch: BATCH,
  });
  const stored = (values: Float32Array, shape: readonly number[], label: string): Tensor => {
    const t = Tensor.from(device, values, shape, "f32", label);
    return dtype === "f32" ? t : cast(t, dtype, label);
  };
  const maps = (first: number, n: number) => {
    const one = stored(latents, [1, h, w, c], "picture's latents");
    const x = Tensor.empty(device, [n, h, w, c], dtype, "picture's latents, repeated");
    for (let i = 0; i < n; i++) copyRows(one, 0, x, i, 1);
    const rows = stored(positions.slice(first * width, (first + n) * width), [n, width], "frame positions");
    return encoder.model.forward(x, rows);
  };
  return encoder.store.awake(() =>
    prepared(condition, async () => {
      using check = condition.compute(device, maps);
      await run.finite(check, `the image encoder (${encoder.name})`);
    }),
  );
}
