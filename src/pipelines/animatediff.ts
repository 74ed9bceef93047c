// From a sentence to frames: text encoder, a few evaluations of the UNet with motion modules, a sampler, the VAE's decoder.
// Numerically diffusers' AnimateDiffPipeline. `generate` is an async generator: one event per step, the frames last.
//
// The record… methods only record work; `generate` runs it, and a plan runs them on a device that executes nothing.

import type { Device } from "../gpu/device.js";
import { matchColours } from "../io/colour-match.js";
import { checkClip } from "../io/frames.js";
import type { CLIPTextModel } from "../models/clip/text-model.js";
import type { UNetMotionModel } from "../models/unet/unet.js";
import type { AutoencoderKL } from "../models/vae/vae.js";
import { vaeFactor } from "../models/vae/config.js";
import { lastNoiseLevel, makeScheduler, type SchedulerConfig, type SchedulerOptions } from "../schedulers/index.js";
import { Tensor } from "../tensor/tensor.js";
import { TorchGenerator } from "../tensor/torch-generator.js";
import { wordReader } from "./attention-maps.js";
import type { Condition } from "./condition.js";
import type { ImageEncoder } from "./control/image.js";
import { controlledRun, makeConditions, settleInputs, textExtras } from "./control/conditions.js";
import { Course, iterationSteps } from "./course.js";
import { Denoiser, disposeConditioning, type Conditioning } from "./denoiser.js";
import { Clock, denoise } from "./denoising.js";
import type { Frames, GenerationEvent } from "./events.js";
import { FrameDecoder } from "./frame-decoder.js";
import { initialNoise } from "./initial.js";
import { fromChannelsLast, LatentSlots } from "./latents.js";
import { windowSchedule } from "./long.js";
import {
  schedulerOptions,
  schedulerSteps,
  settle,
  type GenerateOptions,
  type ModelLimits,
  type Settings,
} from "./options.js";
import { Previewer } from "./preview.js";
import type { LoraInfo, LoraSource } from "./loras.js";
import type { PromptEmbedding, PromptTokenizer } from "./prompt-chunks.js";
import { recordText, textWarnings, type TextExtras } from "./record-text.js";
import { checkResumable, choicesOfRun, describeRun, type ModelIdentity } from "./run-state.js";
import type { LoraStack, SwapOptions } from "./swap-loras.js";
import { TextCache } from "./text-cache.js";
import { videoLatents } from "./video-latents.js";

export type { Frames, FramesEvent, GenerationEvent, StepEvent, WindowEvent } from "./events.js";

/** The networks of a text-to-video model, loaded or (for a plan) pretended. */
export interface PipelineParts {
  readonly device: Device;
  /** Storage of activations. */
  readonly dtype: "f32" | "f16";
  readonly tokenizer: PromptTokenizer;
  /** Textual-inversion embeddings, usable in prompts by their names. */
  readonly embeddings?: readonly PromptEmbedding[];
  readonly text: CLIPTextModel;
  readonly unet: UNetMotionModel;
  readonly vae: AutoencoderKL;
  readonly scheduler: SchedulerConfig;
  /** Positions the motion modules know; undefined without motion modules. */
  readonly maxFrames: number | undefined;
  readonly motionNorm: "joint" | "frame";
  /** Changes the LoRAs in the weights; absent in a plan. */
  readonly loras?: LoraStack;
  /** Tells what was loaded from others, by what errors call its parts: a state of a run goes on only with the same. */
  readonly identity?: ModelIdentity;
  /** What errors call the motion modules. */
  readonly motionName?: string | undefined;
  /** AnimateLCM-I2V's, where the motion modules' file carries one. */
  readonly imageEncoder?: ImageEncoder | undefined;
  /** Frees the weights. */
  dispose(): void;
}

/** diffusers AnimateDiffPipeline. */
export class AnimateDiffPipeline implements Disposable {
  readonly parts: PipelineParts;
  readonly limits: ModelLimits;
  readonly #previewer: Previewer;
  #texts = new TextCache(0);
  /** Runs going on. */
  #runs = 0;

  constructor(parts: PipelineParts) {
    this.parts = parts;
    const factor = vaeFactor(parts.vae.config);
    this.limits = {
      factor,
      nativeSize: parts.unet.config.sampleSize * factor,
      maxFrames: parts.maxFrames,
      motionNorm: parts.motionNorm,
      imageEncoder: parts.imageEncoder !== undefined,
    };
    this.#previewer = new Previewer(parts.vae);
  }

  /** Options with this model's defaults. @throws Error naming the first that cannot work */
  settle(options: GenerateOptions): Settings {
    return settle(options, this.limits);
  }

  /** The steps of a run. */
  scheduler(s: Settings): Course {
    const make = (steps: number, options: SchedulerOptions) =>
      makeScheduler(s.scheduler, this.#schedulerConfig(s), steps, options);
    const first = make(schedulerSteps(s), schedulerOptions(s));
    const own = iterationSteps(s)?.map((steps) => make(steps, schedulerOptions({ ...s, enforceSteps: false })));
    return new Course(first, own ?? Array.from({ length: Math.max(1, s.freeInit) }, () => first));
  }

  /** Latents `[frames, h, w, 4]` of a run. */
  latentShape(s: Settings): readonly [number, number, number, number] {
    const { factor } = this.limits;
    return [s.frames, s.height / factor, s.width / factor, this.parts.vae.config.latentChannels];
  }

  /**
   * Runs the model in its stages: text, denoising, decoding; see GenerateOptions.
   * @throws Error also where a stage produces NaN or infinite values, naming it
   */
  async *generate(options: GenerateOptions): AsyncGenerator<GenerationEvent, void, undefined> {
    const { device, text, vae } = this.parts;
    const { signal } = options;
    this.#checkWhole();
    using owned = new DisposableList();
    this.#runs++;
    owned.add({ dispose: () => this.#runs-- });
    const s = this.settle(options);
    if (options.video) checkClip(options.video);
    const scheduler = this.scheduler(s);
    const controlled = controlledRun(this.parts, s, scheduler, this.limits.factor);
    const inputs = settleInputs(options, controlled);
    if (options.resume) device.tuning.adopt(choicesOfRun(options.resume));
    const run = await describeRun({ ...s, video: options.video, ...inputs }, this.#identity(), device.tuning.choices);
    if (options.resume) checkResumable(options.resume, run);
    const extras = textExtras(inputs);
    const warnings = textWarnings(this.parts, s, extras.regions);
    const clock = new Clock();

    const texts = owned.add(this.#texts.begin());
    const conditioning = await text.store.awake(async () => {
      const recorded = this.recordText(s, scheduler.timesteps, { ...extras, texts });
      owned.add(recorded.check, { dispose: () => disposeConditioning(recorded.conditioning) });
      await this.#finite(recorded.check, "the text encoder", signal);
      texts.commit();
      return recorded.conditioning;
    });
    device.trim();
    const textSeconds = clock.lap();

    const slots = owned.add(new LatentSlots(device, this.latentShape(s)));
    const generator = new TorchGenerator(s.seed);
    const { resume } = options;
    // Pictures are encoded here, if any.
    const { conditions, initial, video } = await vae.store.awake(async () => {
      const made = await makeConditions(inputs, {
        ...this.parts,
        settings: s,
        window: controlled.window,
        whole: controlled.whole,
        timesteps: scheduler.timesteps,
        steps: scheduler.counts,
        regionTexts: conditioning.regions,
        generator,
        finite: (c, stage) => this.#finite(c, stage, signal),
      });
      for (const c of made) owned.add({ dispose: () => c[Symbol.dispose]() });
      const encoding = new Clock();
      // What a run begins with; FreeInit's iterations want it again, also in a run that goes on.
      let first: Float32Array | undefined;
      if (!options.video) first = initialNoise(generator, slots.shape, s);
      else if (!resume || s.freeInit > 1)
        first = await videoLatents(this.parts, options.video, s, scheduler, generator, (counted) =>
          this.#finite(counted, "the VAE encoder", signal),
        );
      return { conditions: made, initial: first, video: encoding.lap() };
    });
    device.trim();
    const word = options.attentionTo;
    const reader =
      word === undefined ? undefined : wordReader(this.parts, s, { ...controlled, conditioning, slots, word });
    if (reader) owned.add({ dispose: () => reader[Symbol.dispose]() });
    const acting = reader ? [...conditions, reader] : conditions;
    const denoiser = owned.add(this.denoiser(s, scheduler, conditioning, slots, acting));
    if (resume) {
      slots.restore(resume.slots);
      generator.setState(resume.generator);
    } else slots.upload("sample", options.video ? initial! : initial!.map((v) => v * scheduler.initNoiseSigma));
    let denoising = 0;
    const loop = denoise({
      device,
      settings: s,
      scheduler,
      denoiser,
      slots,
      generator,
      initial,
      lastLevel: lastNoiseLevel(this.#schedulerConfig(s)),
      run,
      done: options.resume?.done ?? 0,
      signal,
      finite: (counted, stage) => this.#finite(counted, stage, signal),
      preview: (latents) => this.#previewer.run(latents),
    });
    for await (const event of loop) {
      if (event.type === "step") denoising += event.seconds;
      yield reader && event.type === "step" ? { ...event, attention: () => reader.map() } : event;
    }
    clock.lap();

    for (const done of [denoiser, ...conditions]) done[Symbol.dispose]();
    device.trim(); // the decoder wants buffers of other sizes than the UNet
    const { image } = inputs;
    const truncate = image?.colourMatch === true; // as AnimateLCM's own code, which matches cut-off bytes
    const decoded = await vae.store.awake(() => this.#decode(s, slots.get("sample"), { truncate }, signal));
    const frames = truncate ? { ...decoded, ...matchColours(decoded, image.image) } : decoded;
    const latents = fromChannelsLast(await slots.get("sample").read(), vae.config.latentChannels);
    const [f, h, w, c] = slots.shape;
    yield {
      type: "frames",
      frames,
      latents,
      latentShape: [1, c, f, h, w],
      settings: s,
      timesteps: scheduler.timesteps,
      seconds: { text: textSeconds, ...(options.video && { video }), denoise: denoising, decode: clock.lap() },
      warnings,
    };
  }

  /** Records a run's texts and timesteps: see record-text.ts. */
  recordText(
    s: Settings,
    timesteps: readonly number[],
    extras?: TextExtras,
  ): { conditioning: Conditioning; check: Tensor } {
    return recordText(this.parts, s, timesteps, extras);
  }

  /** The loop's body for a run; `conditions` stay the caller's. */
  denoiser(
    settings: Settings,
    scheduler: Course,
    conditioning: Conditioning,
    slots: LatentSlots,
    conditions: readonly Condition[] = [],
  ): Denoiser {
    const { unet, dtype } = this.parts;
    const schedule = windowSchedule(settings);
    const windows = (step: number) => schedule(scheduler.indexOf(step));
    return new Denoiser({ unet, dtype, settings, scheduler, conditioning, conditions, windows, slots });
  }

  /** Keeps the last `count` encodings of prompts (0 at first) for runs to come, on the device: for many clips of few prompts. */
  keepTexts(count: number): void {
    this.#texts.dispose();
    this.#texts = new TextCache(count);
  }

  /**
   * Replaces all LoRAs by `loras` (none: the base model's weights, bit for bit), merged anew from the model's files, which
   * must still be there. Only what the old or the new ones change is read again. Until it has come to its end, `generate`
   * refuses.
   * @throws Error while a run or another change is going on, CheckpointError for a file that does not fit
   */
  async setLoras(loras: readonly LoraSource[], options?: SwapOptions): Promise<readonly LoraInfo[]> {
    if (this.#runs > 0) throw new Error("setLoras: a run is going on, which reads these weights; wait for its end");
    if (!this.parts.loras) throw new Error("setLoras: this pipeline was not loaded from files");
    this.#texts.dispose();
    return this.parts.loras.set(loras, options);
  }

  /** Weights are those of one stack of LoRAs. */
  #checkWhole(): void {
    switch (this.parts.loras?.state) {
      case "changing":
        throw new Error("generate: setLoras is changing the weights; wait for its end");
      case "mixed":
        throw new Error("generate: setLoras did not come to its end, and weights are mixed; call it again first");
    }
  }

  /** Frees the weights. Runs still going on fail. */
  dispose(): void {
    this.#previewer.dispose();
    this.#texts.dispose();
    this.parts.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What tells this model from others. */
  #identity(): ModelIdentity {
    const { identity, loras } = this.parts;
    return { ...identity, LoRAs: loras?.info.map((l) => [l.content, l.weight]) ?? [] };
  }

  /** The model's noise schedule with what a run changes in it. */
  #schedulerConfig(s: Settings): SchedulerConfig {
    return {
      ...this.parts.scheduler,
      beta_schedule: s.betaSchedule,
      ...(s.betaEnd !== undefined && { beta_end: s.betaEnd }),
    };
  }

  /** Latents `[f, h, w, c]` as pictures, a few at a time. */
  async #decode(
    s: Settings,
    latents: Tensor,
    rounding: { readonly truncate: boolean },
    signal: AbortSignal | undefined,
  ) {
    const { width, height, frames: count } = s;
    const rgba = new Uint8Array(count * height * width * 4);
    using decoder = new FrameDecoder(this.parts, latents, { ...rounding, tiling: s.vaeTiling });
    for (let start = 0; start < count; start += decoder.count) {
      const { pixels, check } = decoder.record(start);
      await this.#finite(check, "the VAE decoder", signal);
      rgba.set(new Uint8Array((await pixels.readU32()).buffer), start * height * width * 4);
    }
    return { width, height, count, rgba } satisfies Frames;
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
}

/** What a run made and frees at its end, last first. */
class DisposableList implements Disposable {
  readonly #items: { dispose(): void }[] = [];

  add<T extends { dispose(): void }>(first: T, ...rest: readonly { dispose(): void }[]): T {
    this.#items.push(first, ...rest);
    return first;
  }

  [Symbol.dispose](): void {
    for (const item of this.#items.toReversed()) item.dispose();
  }
}
