// What video to video starts from: a clip as latents with noise, as diffusers' AnimateDiffVideoToVideoPipeline draws it. The
// VAE's distribution is sampled 16 frames at a time, noise `[n, c, h, w]` each, then one draw `[1, frames, c, h, w]` is added.

import type { Device } from "../gpu/device.js";
import type { Clip } from "../io/frames.js";
import { coverCrop } from "../io/resample.js";
import { vaeFactor } from "../models/vae/config.js";
import type { AutoencoderKL } from "../models/vae/vae.js";
import type { Scheduler } from "../schedulers/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { TorchGenerator } from "../tensor/torch-generator.js";
import { FrameEncoder } from "./frame-encoder.js";

/** Frames whose latents diffusers samples with one draw. */
const CHUNK = 16;

type LatentShape = readonly [frames: number, h: number, w: number, c: number];

/** The clip at `width × height`: scaled to cover it by PIL's Lanczos filter, cut around its middle; itself where it fits. */
export function coverClip(clip: Clip, width: number, height: number): Clip {
  if (clip.width === width && clip.height === height) return clip;
  const bytes = clip.width * clip.height * 4;
  const rgba = new Uint8Array(clip.count * width * height * 4);
  for (let i = 0; i < clip.count; i++) {
    const picture = { ...clip, rgba: clip.rgba.subarray(i * bytes, (i + 1) * bytes) };
    rgba.set(coverCrop(picture, width, height, "lanczos").rgba, i * width * height * 4);
  }
  return { width, height, count: clip.count, rgba };
}

/** Frames `start` to `start + count` as the VAE takes them: f32 `[count, height, width, 3]`, −1 … 1; opacity is ignored. */
export function toVaeInput(clip: Clip, start: number, count: number): Float32Array {
  const pixels = clip.width * clip.height * count;
  const from = clip.rgba.subarray(clip.width * clip.height * 4 * start);
  const x = new Float32Array(pixels * 3);
  for (let p = 0; p < pixels; p++)
    for (let k = 0; k < 3; k++) x[3 * p + k] = 2 * Math.fround(from[4 * p + k]! / 255) - 1;
  return x;
}

/**
 * Mean and log-variance of a clip's latents, f32 `[frames, h, w, 2·c]`; zeros in a dry run. `run` executes what is recorded and throws where
 * `check` counts values that are not finite.
 */
export async function clipMoments(
  encoder: FrameEncoder,
  clip: Clip,
  run: (check: Tensor) => Promise<void>,
): Promise<Float32Array> {
  const parts: Float32Array[] = [];
  for (let start = 0; start < clip.count; start += encoder.count) {
    const { moments, check } = encoder.record(toVaeInput(clip, start, encoder.count));
    await run(check);
    parts.push(moments.device.isDry ? new Float32Array(moments.size) : await moments.read());
  }
  const all = new Float32Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** One sample of the latents' distribution, f32 `[frames, h, w, c]`, not scaled: mean + e^(log-variance/2) · noise. */
export function sampleLatents(moments: Float32Array, shape: LatentShape, generator: TorchGenerator): Float32Array {
  const [frames, h, w, c] = shape;
  const plane = h * w;
  const z = new Float32Array(frames * plane * c);
  for (let first = 0; first < frames; first += CHUNK) {
    const count = Math.min(CHUNK, frames - first);
    const noise = generator.randn(count * c * plane); // [count, c, h, w]
    for (let f = 0; f < count; f++)
      for (let p = 0; p < plane; p++)
        for (let k = 0; k < c; k++) {
          const at = ((first + f) * plane + p) * 2 * c + k;
          const deviation = Math.fround(Math.exp(Math.min(20, Math.max(-30, moments[at + c]!)) / 2));
          z[((first + f) * plane + p) * c + k] = moments[at]! + deviation * noise[(f * c + k) * plane + p]!;
        }
  }
  return z;
}

/**
 * The first sample of a run from `z`, f32 `[frames, h, w, c]` (scaled), with noise for the scheduler's first timestep: in
 * torch's layout `[1, c, frames, h, w]`.
 */
export function noisedLatents(
  z: Float32Array,
  [frames, h, w, c]: LatentShape,
  scheduler: Scheduler,
  generator: TorchGenerator,
): Float32Array {
  const { original, noise: level } = scheduler.addNoise();
  const plane = h * w;
  const noise = generator.randn(frames * c * plane); // [1, frames, c, h, w]
  const sample = new Float32Array(z.length);
  for (let f = 0; f < frames; f++)
    for (let k = 0; k < c; k++)
      for (let p = 0; p < plane; p++)
        sample[(k * frames + f) * plane + p] =
          original * z[(f * plane + p) * c + k]! + level * noise[(f * c + k) * plane + p]!;
  return sample;
}

/**
 * The first sample of a run from a clip, torch's layout `[1, c, frames, h, w]`. `run` executes what is recorded and throws
 * where `check` counts values that are not finite.
 */
export async function videoLatents(
  parts: { readonly device: Device; readonly vae: AutoencoderKL; readonly dtype: "f32" | "f16" },
  video: Clip,
  {
    width,
    height,
    vaeTiling = false,
  }: { readonly width: number; readonly height: number; readonly vaeTiling?: boolean },
  scheduler: Scheduler,
  generator: TorchGenerator,
  run: (check: Tensor) => Promise<void>,
): Promise<Float32Array> {
  const { config } = parts.vae;
  const clip = coverClip(video, width, height);
  using encoder = new FrameEncoder(parts, { frames: clip.count, width, height }, vaeTiling);
  const moments = await clipMoments(encoder, clip, run);
  const factor = vaeFactor(config);
  const shape = [clip.count, height / factor, width / factor, config.latentChannels] as const;
  const z = sampleLatents(moments, shape, generator).map((v) => v * config.scalingFactor);
  return noisedLatents(z, shape, scheduler, generator);
}
