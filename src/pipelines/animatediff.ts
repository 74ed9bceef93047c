// From a sentence to frames: text encoder, a few evaluations of the UNet with motion modules, a sampler, the VAE's decoder.
// Numerically diffusers' AnimateDiffPipeline. `generate` is an async generator: one event per step, the frames last.
//
// The record… methods only record work; `generate` runs it, and a plan runs them on a device that executes nothing.

import { countNonFinite } from "../../kernels/finite.js";
import type { Device } from "../gpu/device.js";
import type { CLIPTextModel } from "../models/clip/text-model.js";
import type { UNetMotionModel } from "../models/unet/unet.js";
import type { AutoencoderKL } from "../models/vae/vae.js";
import { vaeFactor } from "../models/vae/config.js";
import { makeScheduler, type Scheduler, type SchedulerConfig } from "../schedulers/index.js";
import { Tensor } from "../tensor/tensor.js";
import { TorchGenerator } from "../tensor/torch-generator.js";
import { copy, Denoiser, type Conditioning } from "./denoiser.js";
import { FrameDecoder } from "./frame-decoder.js";
import { fromChannelsLast, LatentSlots } from "./latents.js";
import { schedulerOptions, settle, type GenerateOptions, type ModelLimits, type Settings } from "./options.js";
import { Previewer } from "./preview.js";

/** Pictures of one clip. */
export interface Frames {
  readonly width: number;
  readonly height: number;
  readonly count: number;
  /** RGBA, 8 bits, `count · height · width · 4`. */
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** One step was done. */
export interface StepEvent {
  readonly type: "step";
  /** 0 … count − 1 */
  readonly index: number;
  readonly count: number;
  readonly timestep: number;
  /** Wall-clock time of this step. */
  readonly seconds: number;
  /** The present estimate as pictures at the latents' size, by a linear map: no network is evaluated. */
  preview(): Promise<Frames>;
}

/** The run is over. */
export interface FramesEvent {
  readonly type: "frames";
  readonly frames: Frames;
  /** The last latents, torch layout `[1, 4, frames, h, w]`. */
  readonly latents: Float32Array;
  readonly latentShape: readonly number[];
  readonly settings: Settings;
  readonly timesteps: readonly number[];
  /** Wall-clock seconds per stage. */
  readonly seconds: { readonly text: number; readonly denoise: number; readonly decode: number };
  /** What the user should know: words that did not fit, options without effect. */
  readonly warnings: readonly string[];
}

export type GenerationEvent = StepEvent | FramesEvent;

/** The networks of a text-to-video model, loaded or (for a plan) pretended. */
export interface PipelineParts {
  readonly device: Device;
  /** Storage of activations. */
  readonly dtype: "f32" | "f16";
  readonly tokenizer: { encode(text: string): { readonly ids: readonly number[]; readonly truncatedText?: string } };
  readonly text: CLIPTextModel;
  readonly unet: UNetMotionModel;
  readonly vae: AutoencoderKL;
  readonly scheduler: SchedulerConfig;
  /** Positions the motion modules know; undefined without motion modules. */
  readonly maxFrames: number | undefined;
  readonly motionNorm: "joint" | "frame";
  /** Frees the weights. */
  dispose(): void;
}

/** diffusers AnimateDiffPipeline. */
export class AnimateDiffPipeline implements Disposable {
  readonly parts: PipelineParts;
  readonly limits: ModelLimits;
  readonly #previewer: Previewer;

  constructor(parts: PipelineParts) {
    this.parts = parts;
    const factor = vaeFactor(parts.vae.config);
    this.limits = {
      factor,
      nativeSize: parts.unet.config.sampleSize * factor,
      maxFrames: parts.maxFrames,
      motionNorm: parts.motionNorm,
    };
    this.#previewer = new Previewer(parts.vae);
  }

  /** Options with this model's defaults. @throws Error naming the first that cannot work */
  settle(options: GenerateOptions): Settings {
    return settle(options, this.limits);
  }

  /** The sampler of a run. */
  scheduler(s: Settings): Scheduler {
    const config = {
      ...this.parts.scheduler,
      beta_schedule: s.betaSchedule,
      ...(s.betaEnd !== undefined && { beta_end: s.betaEnd }),
    };
    return makeScheduler(s.scheduler, config, s.steps, schedulerOptions(s));
  }

  /** Latents `[frames, h, w, 4]` of a run. */
  latentShape(s: Settings): readonly [number, number, number, number] {
    const { factor } = this.limits;
    return [s.frames, s.height / factor, s.width / factor, this.parts.vae.config.latentChannels];
  }

  /** Runs the model; see GenerateOptions. @throws Error also where a stage produces NaN or infinite values, naming it */
  async *generate(options: GenerateOptions): AsyncGenerator<GenerationEvent, void, undefined> {
    const { device, vae } = this.parts;
    const { signal } = options;
    const s = this.settle(options);
    const scheduler = this.scheduler(s);
    const warnings = this.#warnings(s);
    const owned: { dispose(): void }[] = [];
    try {
      let clock = performance.now();
      const lap = () => {
        const now = performance.now();
        const seconds = (now - clock) / 1000;
        clock = now;
        return seconds;
      };
      const { conditioning, check } = this.recordText(s, scheduler.timesteps);
      owned.push(...conditioning.text.values(), conditioning.times, check);
      await this.#finite(check, "the text encoder", signal);
      device.trim();
      const textSeconds = lap();

      const slots = new LatentSlots(device, this.latentShape(s));
      const denoiser = this.denoiser(s, scheduler, conditioning, slots);
      owned.push(slots, denoiser);
      const generator = new TorchGenerator(s.seed);
      const size = slots.shape.reduce((n, d) => n * d, 1);
      const noise = generator.randn(size);
      slots.upload(
        "sample",
        noise.map((v) => v * scheduler.initNoiseSigma),
      );
      let denoise = 0;
      for (const [index, timestep] of scheduler.timesteps.entries()) {
        if (scheduler.plan(index).drawsNoise) slots.upload("noise", generator.randn(size));
        using finite = denoiser.record(index);
        await this.#finite(finite, `the UNet at step ${index + 1} (timestep ${timestep})`, signal);
        const seconds = lap();
        denoise += seconds;
        yield {
          type: "step",
          index,
          count: scheduler.timesteps.length,
          timestep,
          seconds,
          preview: () => this.#previewer.run(slots.get("x0")),
        };
        clock = performance.now();
      }

      const latents = slots.get("sample");
      denoiser.dispose();
      device.trim(); // the decoder wants buffers of other sizes than the UNet
      const rgba = new Uint8Array(s.frames * s.height * s.width * 4);
      const decoder = new FrameDecoder(this.parts, latents);
      owned.push(decoder);
      for (let start = 0; start < s.frames; start += decoder.count) {
        const { pixels, check: decoded } = decoder.record(start);
        await this.#finite(decoded, "the VAE decoder", signal);
        rgba.set(new Uint8Array((await pixels.readU32()).buffer), start * s.height * s.width * 4);
      }
      const values = fromChannelsLast(await latents.read(), vae.config.latentChannels);
      const [f, h, w, c] = slots.shape;
      yield {
        type: "frames",
        frames: { width: s.width, height: s.height, count: s.frames, rgba },
        latents: values,
        latentShape: [1, c, f, h, w],
        settings: s,
        timesteps: scheduler.timesteps,
        seconds: { text: textSeconds, denoise, decode: lap() },
        warnings,
      };
    } finally {
      for (const o of owned) o.dispose();
    }
  }

  /**
   * Records the text encoder and the timesteps' embeddings; the result's tensors are the caller's. `check` counts values
   * that are not finite.
   */
  recordText(s: Settings, timesteps: readonly number[]): { conditioning: Conditioning; check: Tensor } {
    const { device, text, tokenizer, unet, dtype } = this.parts;
    const encode = (prompt: string) => tokenizer.encode(prompt).ids;
    return device.scope(() => {
      // clip skip applies to the prompt, never to the negative prompt (diffusers).
      const positive = text.forward(device, [encode(s.prompt)], dtype, s.clipSkip);
      const states = s.guidance > 1 ? stack(text.forward(device, [encode(s.negative)], dtype), positive) : positive;
      const times = unet.timeEmbeddings(device, timesteps, dtype);
      return { conditioning: { text: unet.prepareText(states), times }, check: countNonFinite(states) };
    });
  }

  /** The loop's body for a run. */
  denoiser(s: Settings, scheduler: Scheduler, conditioning: Conditioning, slots: LatentSlots): Denoiser {
    return new Denoiser(this.parts.device, this.parts, s, scheduler, conditioning, slots);
  }

  /** Frees the weights. Runs still going on fail. */
  dispose(): void {
    this.#previewer.dispose();
    this.parts.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #finite(check: Tensor, stage: string, signal: AbortSignal | undefined): Promise<void> {
    await this.parts.device.drain(signal);
    const [count = 0] = await check.readU32();
    if (count > 0)
      throw new Error(
        `${stage} produced ${count} values that are not finite (NaN or infinity)` +
          (this.parts.dtype === "f16"
            ? "; f16 may be too narrow for this model: try --precision f32"
            : "; the checkpoint may be damaged or of another family"),
      );
  }

  #warnings(s: Settings): string[] {
    const warnings: string[] = [];
    const check = (what: string, prompt: string) => {
      const { truncatedText } = this.parts.tokenizer.encode(prompt);
      if (truncatedText !== undefined && truncatedText !== "")
        warnings.push(`the ${what} is longer than the text encoder takes; left out: "${truncatedText}"`);
    };
    check("prompt", s.prompt);
    if (s.guidance > 1) check("negative prompt", s.negative);
    else if (s.negative !== "")
      warnings.push("the negative prompt has no effect at guidance 1; it takes guidance above 1");
    return warnings;
  }
}

/** `a` then `b` along the first dimension. */
function stack(a: Tensor, b: Tensor): Tensor {
  const [n = 0, ...rest] = a.shape;
  const y = Tensor.empty(a.device, [n + (b.shape[0] ?? 0), ...rest], a.dtype, a.label);
  copy(a, 0, y, 0, a.bytes);
  copy(b, 0, y, a.bytes, b.bytes);
  return y;
}
