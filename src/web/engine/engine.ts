// The engine: one device, one loaded model, one run at a time. What it does in a browser is what `kineograph generate` does
// on the command line; here it also tells how far it is, and survives the loss of its device.

import {
  DeviceLostError,
  loadPipeline,
  type ByteSource,
  type Device,
  type Folder,
  type FramesEvent,
  type GenerateOptions,
  type LoadedPipeline,
  type LoadStage,
  type ModelSources,
} from "../../index.js";
import { openStored, readManifest } from "../store/read.js";
import { bundledFolder, bundledLora } from "./bundled.js";
import { Controls } from "./control.js";
import { openGpu, type OpenedDevice } from "./gpu.js";
import {
  BUNDLED,
  BUNDLED_CONTROL,
  BUNDLED_LORA,
  type EngineMemory,
  type GpuInfo,
  type ModelChoice,
  type ModelFacts,
  type RunEvent,
  type RunOptions,
  type RunRequest,
  type RunResult,
} from "./protocol.js";
import { KernelTimes } from "./kernel-times.js";
import { recipeOf } from "./recipe.js";

type Emit = (event: RunEvent, transfer?: Transferable[]) => void;

/** A model's files, opened by their ids. */
export interface OpenedSources extends ModelSources {
  readonly embeddings: readonly { readonly source: ByteSource }[];
  readonly loras: readonly { readonly source: ByteSource; readonly weight: number }[];
}

/** The model on the device. */
interface Loaded {
  /** The choice it was loaded by, but for LoRAs; and those merged into it. */
  readonly key: string;
  readonly stack: string;
  readonly loaded: LoadedPipeline;
  readonly facts: ModelFacts;
}

export class Engine {
  /** Address below which the bundled model lies. */
  readonly #base: string;
  #opened: Promise<OpenedDevice> | undefined;
  #loaded: Loaded | undefined;
  /** Runs and loads take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #kernels: KernelTimes | undefined;
  readonly #controls = new Controls();

  constructor(base: string) {
    this.#base = base;
  }

  /** The device, opened at the first call. */
  async device(): Promise<{ readonly device: Device; readonly info: GpuInfo }> {
    this.#opened ??= openGpu();
    try {
      const opened = await this.#opened;
      void opened.gpu.lost.then(() => this.#drop(opened));
      return opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  /** The device with WebGPU's own. */
  async handle(): Promise<OpenedDevice> {
    await this.device();
    return this.#opened!;
  }

  /** Loads a model unless it is the one loaded. */
  load(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<ModelFacts> {
    return this.#inTurn(async () => (await this.#load(request, emit, signal)).facts);
  }

  run(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<RunResult> {
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      const { device, info } = await this.device();
      const start = performance.now();
      const { loaded: pipeline, facts } = await this.#load(request, emit, signal);
      const load = (performance.now() - start) / 1000;
      emit({ type: "model", facts });
      this.#kernels = request.profile && info.timestamps ? new KernelTimes(device, emit) : undefined;
      try {
        emit({ type: "stage", stage: "text", fraction: 0 });
        const open = (id: string) => this.openStored(id, signal);
        const guides = await this.#controls.guides(pipeline.pipeline, request, { open, emit, signal });
        const result = await this.#follow(pipeline, request, guides, emit, signal);
        const recipe = recipeOf({
          request,
          result,
          info: pipeline.info,
          precision: facts.precision,
          adapter: info.name,
          names: await storedNames(request),
        });
        return {
          frames: result.frames,
          recipe,
          timesteps: result.timesteps,
          seconds: { load, ...result.seconds },
          peakBytes: device.memory.peakReserved,
          warnings: [...pipeline.info.warnings, ...result.warnings],
        };
      } finally {
        this.#kernels?.stop();
        device.trim();
      }
    });
  }

  async memory(): Promise<EngineMemory> {
    const { device } = await this.device();
    return { used: device.memory.used, reserved: device.memory.reserved };
  }

  /** Gives the device back. What runs on it fails. */
  async restart(): Promise<void> {
    const opened = await this.#opened;
    if (!opened) return;
    opened.gpu.destroy();
    this.#drop(opened);
  }

  source(label: string): string | undefined {
    return this.#kernels?.source(label);
  }

  /** The files of a choice. */
  async open(choice: ModelChoice, signal: AbortSignal): Promise<OpenedSources> {
    const loras: OpenedSources["loras"][number][] = [];
    for (const { id, weight } of choice.loras) {
      if (weight === 0 || (id === BUNDLED_LORA && !choice.distilled)) continue;
      const source = id === BUNDLED_LORA ? await bundledLora(this.#base, signal) : await openStored(id);
      if ("list" in source) throw new Error(`${source.name} is a folder; a LoRA is one file`);
      loras.push({ source, weight });
    }
    const motion =
      choice.motion !== undefined
        ? await openStored(choice.motion)
        : choice.model === BUNDLED
          ? bundledFolder(this.#base, choice.distilled ? "motion-lcm" : "motion-teacher", signal)
          : undefined;
    const embeddings: { readonly source: ByteSource }[] = [];
    for (const id of choice.embeddings) {
      const source = await openStored(id);
      if (!("list" in source)) embeddings.push({ source });
    }
    return {
      embeddings,
      model: choice.model === BUNDLED ? bundledFolder(this.#base, "base", signal) : await openStored(choice.model),
      ...(motion && { motion }),
      ...(choice.vae !== undefined && { vae: await openStored(choice.vae) }),
      loras,
    };
  }

  /** The files of what guides a run: the bundled control network, or of the store. */
  async openStored(id: string, signal: AbortSignal): Promise<Folder | ByteSource> {
    return id === BUNDLED_CONTROL ? bundledFolder(this.#base, "control-blob", signal) : openStored(id);
  }

  async #load({ choice, options, start }: RunRequest, emit: Emit, signal: AbortSignal): Promise<Loaded> {
    const { device } = await this.device();
    const { loras, ...rest } = choice;
    const [key, stack] = [JSON.stringify(rest), JSON.stringify(loras)];
    if (this.#loaded?.key === key && this.#loaded.stack === stack) return this.#loaded;
    emit({ type: "stage", stage: "download", fraction: 0 });
    const sources = await this.open(choice, signal);
    const progress = ({ loadedBytes, totalBytes, stage }: Omit<LoadStage, "stage"> & Partial<LoadStage>) =>
      emit({
        type: "stage",
        stage: "load",
        fraction: totalBytes === 0 ? 1 : loadedBytes / totalBytes,
        ...(stage !== undefined && { detail: stage }),
      });
    progress({ loadedBytes: 0, totalBytes: 1 });
    if (this.#loaded?.key === key) {
      // The same model with other LoRAs: only what they change is read again. Until that is done it is neither.
      const same = this.#loaded;
      this.#loaded = { ...same, stack: "" };
      const { pipeline, info } = same.loaded;
      const stacked = await pipeline.setLoras(sources.loras, { onProgress: progress, signal });
      this.#loaded = { ...same, stack, loaded: { pipeline, info: { ...info, loras: stacked } } };
      return this.#loaded;
    }
    this.#loaded?.loaded.pipeline.dispose();
    this.#loaded = undefined;
    device.trim();
    const precision = choice.precision ?? (device.capabilities.f16 ? "f16" : "f32");
    const loaded = await loadPipeline(device, {
      ...sources,
      precision,
      encoder: choice.encoder,
      lowMemory: choice.lowMemory,
      ...(choice.weights && { weights: choice.weights }),
      ...(choice.motionNorm && { motionNorm: choice.motionNorm }),
      firstRun: generateOptions(options, signal, start),
      onProgress: progress,
      signal,
    });
    const { limits } = loaded.pipeline;
    const facts: ModelFacts = {
      name: loaded.info.model,
      motion: loaded.info.motion,
      nativeSize: limits.nativeSize,
      factor: limits.factor,
      maxFrames: limits.maxFrames,
      imageEncoder: limits.imageEncoder ?? false,
      precision,
      parameters: loaded.info.parameters,
      weightBytes: loaded.info.weightBytes,
      warnings: loaded.info.warnings,
    };
    this.#loaded = { key, stack, loaded, facts };
    return this.#loaded;
  }

  async #follow(
    { pipeline }: LoadedPipeline,
    { options, start, word }: RunRequest,
    guides: Pick<GenerateOptions, "controls" | "imagePrompts">,
    emit: Emit,
    signal: AbortSignal,
  ): Promise<FramesEvent> {
    for await (const event of pipeline.generate({
      ...generateOptions(options, signal, start),
      ...guides,
      ...(word !== undefined && { attentionTo: word }),
    })) {
      if (event.type === "frames") return event;
      if (event.type === "window") {
        emit({ type: "stage", stage: "denoise", fraction: event.done / event.count });
        continue;
      }
      const preview = await event.preview();
      const { index, count, timestep, seconds } = event;
      const attention = await event.attention?.();
      emit({ type: "step", index, count, timestep, seconds, preview, attention }, [preview.rgba.buffer]);
    }
    throw new Error("the pipeline ended without frames");
  }

  #inTurn<R>(body: () => Promise<R>): Promise<R> {
    const turn = this.#turn.then(() => this.#unlessLost(body));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Some promises of a lost device never settle (compilation is one): what waits for them fails all the same. */
  async #unlessLost<R>(body: () => Promise<R>): Promise<R> {
    const { gpu } = await this.handle();
    const lost = gpu.lost.then(async ({ reason, message }): Promise<never> => {
      await new Promise((resolve) => setTimeout(resolve, 500)); // what fails by itself says more
      throw new DeviceLostError(
        `the graphics adapter was lost (${reason})${message === "" ? "" : `: ${message}`}; run it again, smaller if it recurs`,
      );
    });
    return Promise.race([body(), lost]);
  }

  #drop(opened: OpenedDevice): void {
    void this.#opened?.then((now) => {
      if (now !== opened) return;
      this.#opened = undefined;
      this.#loaded = undefined;
    });
  }
}

/** The library's options of a run. */
export function generateOptions(o: RunOptions, signal: AbortSignal, start?: RunRequest["start"]): GenerateOptions {
  const seed = BigInt(o.seed);
  return {
    prompt: o.prompt,
    negative: o.negative,
    seed: seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed,
    steps: o.steps,
    guidance: o.guidance,
    width: o.width,
    height: o.height,
    frames: o.frames,
    scheduler: o.scheduler,
    clipSkip: o.clipSkip,
    plainPrompt: o.plainPrompt,
    ...courseOf(o),
    ...regionsOf(o),
    ...(start?.kind === "video" && { video: start.frames, strength: o.strength ?? 0.8 }),
    ...(start?.kind === "image" && { image: start.frames, motionScale: o.motionScale ?? 0.8 }),
    ...(o.originalSteps !== undefined && o.scheduler === "lcm" && { originalSteps: o.originalSteps }),
    ...(o.betaEnd !== undefined && { betaEnd: o.betaEnd }),
    ...(o.betaSchedule !== undefined && { betaSchedule: o.betaSchedule }),
    signal,
  };
}

/** Parts of the picture with prompts of their own. */
export function regionsOf({ regions, regionBase }: RunOptions): Pick<GenerateOptions, "regions" | "regionBase"> {
  if (!regions) return {};
  return {
    regions: regions.map(({ text, x, y, width, height }) => ({ prompt: text, area: [x, y, width, height] as const })),
    ...(regionBase !== undefined && { regionBase }),
  };
}

type Course = Pick<GenerateOptions, "long" | "context" | "stride" | "contextSchedule" | "freeInit" | "promptAt">;

/** What concerns a clip's length and its course, as given; also what the recipe says of it. */
export function courseOf({ long, context, stride, contextSchedule, freeInit, promptAt }: RunOptions): Course {
  return {
    ...(long && { long }),
    ...(context !== undefined && { context }),
    ...(stride !== undefined && { stride }),
    ...(contextSchedule && { contextSchedule }),
    ...(freeInit !== undefined && { freeInit }),
    ...(promptAt && { promptAt }),
  };
}

async function storedNames({ choice, control, likenesses = [] }: RunRequest): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const id of [
    choice.model,
    choice.motion,
    choice.vae,
    control?.id,
    ...likenesses.flatMap((l) => [l.id, l.encoder]),
    ...choice.loras.map((l) => l.id),
    ...choice.embeddings,
  ])
    if (id !== undefined && !id.startsWith(BUNDLED)) names.set(id, (await readManifest(id)).manifest.name);
  return names;
}
