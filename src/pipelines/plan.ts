// A run that is not executed: the same code on a device that only counts. Tells memory, arithmetic, dispatches and
// pipelines of any size before a byte is uploaded.

import { Device } from "../gpu/device.js";
import { CLIPTokenizer } from "../models/clip/tokenizer.js";
import type { Capabilities } from "../gpu/limits.js";
import { AnimateDiffPipeline } from "./animatediff.js";
import { buildModels, SD15_ANIMATELCM, type BuiltModels, type ModelConfigs, type ModelStorage } from "./build.js";
import type { Condition } from "./condition.js";
import { controlledRun, makeConditions, settleInputs, textExtras, type ControlInputs } from "./control/conditions.js";
import type { Course } from "./course.js";
import type { Conditioning } from "./denoiser.js";
import { FrameDecoder } from "./frame-decoder.js";
import { FrameEncoder } from "./frame-encoder.js";
import { LatentSlots } from "./latents.js";
import { openModel, type ModelFiles, type ModelSources } from "./model-files.js";
import type { GenerateOptions, ModelLimits, Settings } from "./options.js";
import type { PromptTokenizer } from "./prompt-chunks.js";
import type { TextExtras } from "./record-text.js";
import { Tensor } from "../tensor/tensor.js";
import { TorchGenerator } from "../tensor/torch-generator.js";

/** What one stage takes. */
export interface StagePlan {
  readonly name: "load" | "text" | "control" | "video" | "denoise" | "decode";
  readonly flops: number;
  readonly dispatches: number;
  /** GPU memory at its height during the stage, weights included. */
  readonly peakBytes: number;
}

/** What a run takes. */
export interface Plan {
  readonly weightBytes: number;
  readonly peakBytes: number;
  /** The machine's own memory for what leaves the device meanwhile (long FreeNoise clips). */
  readonly hostBytes: number;
  readonly parameters: { readonly text: number; readonly unet: number; readonly motion: number; readonly vae: number };
  readonly stages: readonly StagePlan[];
  readonly flops: number;
  readonly dispatches: number;
  readonly pipelines: number;
}

/** What a plan assumes. */
export interface PlanOptions {
  readonly capabilities?: Partial<Capabilities>;
  /** Of activations; default f16. */
  readonly precision?: "f32" | "f16";
  /** Default: weights in `precision`, on the device. */
  readonly storage?: ModelStorage;
  /** The files' headers; without them weights are taken to be stored in `precision`. */
  readonly weights?: Pick<ModelFiles, "weights">["weights"];
  /** Tells how many rows of tokens a prompt takes; without one every prompt takes one. */
  readonly tokenizer?: PromptTokenizer;
  /** Default "joint". */
  readonly motionNorm?: "joint" | "frame";
  /** What errors call the motion modules. */
  readonly motionName?: string | undefined;
}

/** What guides a planned run besides its text. */
export interface PlannedControl {
  /** Loads the networks on `pipeline.parts.device`, which executes nothing (no weights are read there), and gives the inputs. */
  readonly inputs: (pipeline: AnimateDiffPipeline) => Promise<ControlInputs>;
  /** Whether the run's VAE is loaded with its encoder. */
  readonly encoder: boolean;
}

/** Plans a run of a model by its files' headers, or of the published sizes ("sd15"); weights are not read. */
export async function planPipeline(
  capabilities: Partial<Capabilities>,
  what: PlannedModel,
  options: GenerateOptions,
  control?: PlannedControl,
): Promise<Plan> {
  return withNetworks(what, async (configs, how) => {
    if (!control) return planRun(configs, options, { capabilities, ...how });
    using device = Device.dry(capabilities);
    const planned = new PlannedRun(device, configs, options, how, control.encoder);
    await planned.guide(control);
    return planned.finish();
  });
}

/** What a model can be asked for, by the headers of its files: no weights are read. @throws as planPipeline */
export function modelLimits(what: PlannedModel): Promise<ModelLimits> {
  return withNetworks(what, (configs, how) => {
    using device = Device.dry();
    return imagined(device, configs, how, false).pipeline.limits;
  });
}

/** Files of a model, or the published sizes, and how it is to be stored. */
export type PlannedModel = Pick<PlanOptions, "precision" | "storage"> &
  (ModelSources | { readonly model: "sd15"; readonly motion?: undefined });

/** Runs `body` with the configurations and headers of a model while its files are open. */
export async function withNetworks<R>(
  what: PlannedModel,
  body: (configs: ModelConfigs, how: Omit<PlanOptions, "capabilities">) => R | Promise<R>,
): Promise<R> {
  const { precision, storage } = what;
  const how = { ...(precision && { precision }), ...(storage && { storage }) };
  if (what.model === "sd15") return body(SD15_ANIMATELCM, { ...how, tokenizer: await CLIPTokenizer.openai() });
  const files = await openModel(what as ModelSources);
  try {
    const { weights, tokenizer, motionNorm, motionName } = files;
    return await body(files.configs, { ...how, weights, tokenizer, motionNorm, motionName });
  } finally {
    await files.close();
  }
}

/**
 * Plans a run of networks of these configurations on an adapter of these capabilities (default: a typical
 * GPU). `precision` is that of weights and activations.
 * @throws Error for options that cannot work, and OutOfMemoryError where a single buffer exceeds the adapter's limit
 */
export function planRun(configs: ModelConfigs, options: GenerateOptions, how: PlanOptions = {}): Plan {
  using device = Device.dry(how.capabilities);
  return planOn(device, configs, options, how);
}

/**
 * The texts of all shaders that loading and a run on `like` need, in the order of their first use: to be compiled while
 * weights are read.
 * @throws as planRun
 */
export function shadersOf(
  like: Device,
  configs: ModelConfigs,
  options: GenerateOptions,
  how: Omit<PlanOptions, "capabilities">,
): ReadonlySet<string> {
  using device = Device.dry(like.capabilities);
  device.tuning.adopt(like.tuning.choices);
  planOn(device, configs, options, how);
  return device.counts.codes;
}

/** `planRun` on a device that executes nothing. */
export function planOn(
  device: Device,
  configs: ModelConfigs,
  options: GenerateOptions,
  how: Omit<PlanOptions, "capabilities"> = {},
): Plan {
  return new PlannedRun(device, configs, options, how).finish();
}

/** A model without weights, on a device that executes nothing. */
function imagined(
  device: Device,
  configs: ModelConfigs,
  {
    precision = "f16",
    storage = { weights: precision },
    weights,
    tokenizer,
    motionNorm = "joint",
    motionName,
  }: Omit<PlanOptions, "capabilities">,
  encoder: boolean,
): { readonly models: BuiltModels; readonly pipeline: AnimateDiffPipeline } {
  const models = buildModels(device, configs, {
    storage,
    encoder,
    ...(weights && { unetWeights: weights.unet, imageWeights: weights.image }),
  });
  const pipeline = new AnimateDiffPipeline({
    device,
    dtype: precision,
    tokenizer: tokenizer ?? wordless(models.text.config.maxPositions),
    text: models.text,
    unet: models.unet,
    vae: models.vae,
    scheduler: {},
    maxFrames: models.maxFrames,
    motionNorm,
    motionName,
    imageEncoder: models.imageEncoder && {
      name: motionName ?? "the motion modules' file",
      model: models.imageEncoder,
      store: models.stores.image,
    },
    dispose: () => undefined,
  });
  return { models, pipeline };
}

/** A run's stages, recorded in their order. */
class PlannedRun {
  readonly #device: Device;
  readonly #models: BuiltModels;
  readonly #pipeline: AnimateDiffPipeline;
  readonly #settings: Settings;
  readonly #scheduler: Course;
  readonly #video: boolean;
  readonly #stages: StagePlan[] = [];
  #conditioning: Conditioning | undefined;
  #conditions: readonly Condition[] = [];
  /** Of control networks, while they stay on the device. */
  #controlBytes = 0;

  /** Loads the model. */
  constructor(
    device: Device,
    configs: ModelConfigs,
    options: GenerateOptions,
    how: Omit<PlanOptions, "capabilities">,
    encoder = false,
  ) {
    this.#device = device;
    this.#video = options.video !== undefined;
    const { models, pipeline } = imagined(device, configs, how, encoder || this.#video);
    this.#models = models;
    this.#pipeline = pipeline;
    this.#settings = this.#pipeline.settle(options);
    this.#scheduler = this.#pipeline.scheduler(this.#settings);
    this.#stage("load", () => {
      // In the order in which they are loaded.
      for (const key of ["text", "vae", "image", "unet"] as const) {
        models.stores[key].pretend(how.weights?.[key]);
        device.trim();
        void models.stores[key].rest();
      }
    });
  }

  /** Loads what guides the run, and makes its conditions. */
  async guide({ inputs: load }: PlannedControl): Promise<void> {
    const device = this.#device;
    const pipeline = this.#pipeline;
    const before = device.memory.used;
    const given = await load(pipeline);
    this.#controlBytes = device.memory.used - before;
    this.#stages.push({ ...this.#stages.pop()!, peakBytes: device.memory.peakReserved });
    const { timesteps } = this.#scheduler;
    const controlled = controlledRun(pipeline.parts, this.#settings, this.#scheduler, pipeline.limits.factor);
    const inputs = settleInputs(given, controlled);
    const { regions } = this.#recordText(textExtras(inputs));
    const measured = this.#begin();
    this.#conditions = await makeConditions(inputs, {
      ...pipeline.parts,
      settings: this.#settings,
      window: controlled.window,
      whole: controlled.whole,
      timesteps,
      steps: this.#scheduler.counts,
      regionTexts: regions,
      generator: new TorchGenerator(0),
      finite: () => Promise.resolve(),
    });
    this.#end("control", measured);
  }

  /** Runs to the end. */
  finish(): Plan {
    const { text, unet, vae } = this.#models.stores;
    const [device, pipeline, scheduler, s] = [this.#device, this.#pipeline, this.#scheduler, this.#settings];
    const conditioning = this.#conditioning ?? this.#recordText();
    if (this.#video)
      this.#stage("video", () => {
        using encoder = new FrameEncoder(pipeline.parts, s, s.vaeTiling);
        const pictures = new Float32Array(encoder.count * s.width * s.height * 3);
        for (let start = 0; start < s.frames; start += encoder.count) encoder.record(pictures);
      });
    void vae.rest();
    const slots = new LatentSlots(device, pipeline.latentShape(s));
    this.#stage("denoise", () => {
      slots.set("sample", Tensor.empty(device, slots.shape, "f32", "sample"));
      using denoiser = pipeline.denoiser(s, scheduler, conditioning, slots, this.#conditions);
      for (let step = 0; step < scheduler.timesteps.length; step++) {
        if (scheduler.plan(step).drawsNoise) slots.set("noise", Tensor.empty(device, slots.shape, "f32", "noise"));
        denoiser.record(step).dispose();
      }
    });
    for (const c of this.#conditions) c[Symbol.dispose]();
    this.#stage("decode", () => {
      using decoder = new FrameDecoder(pipeline.parts, slots.get("sample"), { tiling: s.vaeTiling });
      for (let start = 0; start < s.frames; start += decoder.count) decoder.record(start);
    });
    const run = this.#stages.slice(1);
    const motion = [...unet.wanted()]
      .filter((w) => w.name.includes("motion_modules"))
      .reduce((n, w) => n + w.shape.reduce((p, d) => p * d, 1), 0);
    return {
      weightBytes: text.bytes + unet.bytes + vae.bytes + this.#controlBytes,
      peakBytes: Math.max(...this.#stages.map((t) => t.peakBytes)),
      hostBytes: device.counts.hostBytes,
      parameters: { text: text.parameters, unet: unet.parameters - motion, motion, vae: vae.parameters },
      stages: this.#stages,
      flops: run.reduce((n, t) => n + t.flops, 0),
      dispatches: run.reduce((n, t) => n + t.dispatches, 0),
      pipelines: device.counts.codes.size,
    };
  }

  #recordText(extras?: TextExtras): Conditioning {
    const { timesteps } = this.#scheduler;
    const { conditioning } = this.#stage("text", () => this.#pipeline.recordText(this.#settings, timesteps, extras));
    void this.#models.stores.text.rest();
    return (this.#conditioning = conditioning);
  }

  #stage<R>(name: StagePlan["name"], body: () => R): R {
    const before = this.#begin();
    const result = body();
    this.#end(name, before);
    return result;
  }

  #begin(): Pick<StagePlan, "flops" | "dispatches"> {
    this.#device.trim();
    this.#device.pool.resetPeaks();
    const { flops, dispatches } = this.#device.counts;
    return { flops, dispatches };
  }

  #end(name: StagePlan["name"], before: Pick<StagePlan, "flops" | "dispatches">): void {
    const { counts, memory } = this.#device;
    this.#stages.push({
      name,
      flops: counts.flops - before.flops,
      dispatches: counts.dispatches - before.dispatches,
      peakBytes: memory.peakReserved,
    });
  }
}

/** Reads every prompt as empty. */
function wordless(modelMaxLength: number): PromptTokenizer {
  return { modelMaxLength, bosTokenId: 0, eosTokenId: 0, padTokenId: 0, tokenIds: () => [], decode: () => "" };
}
