// The engine: one device, one loaded model, one run at a time. What it does in a browser is what `kineograph generate` does
// on the command line; here it also tells how far it is. A run whose device is lost goes on with another.

import {
  DeviceLostError,
  generateRecovering,
  type FramesEvent,
  type GenerateOptions,
  type LoadedPipeline,
} from "../../index.js";
import { Abort } from "../../gpu/abort.js";
import { Controls } from "./control.js";
import { openGpu, type OpenedDevice } from "./gpu.js";
import { KernelTimes } from "./kernel-times.js";
import { Model, type Loaded } from "./model.js";
import type { ModelFacts, RunEvent, RunRequest, RunResult } from "./protocol.js";
import { recipeOf } from "./recipe.js";
import { generateOptions } from "./run-options.js";
import { Sources, storedNames } from "./sources.js";
import { chooseKernels, recallKernels } from "./tuning.js";

type Emit = (event: RunEvent, transfer?: Transferable[]) => void;
type Guides = Pick<GenerateOptions, "controls" | "imagePrompts">;

export class Engine {
  readonly sources: Sources;
  #opened: Promise<OpenedDevice> | undefined;
  readonly #model = new Model();
  readonly #controls = new Controls();
  /** Runs and loads take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #kernels: KernelTimes | undefined;

  /** `base`: the address below which the bundled model lies. */
  constructor(base: string) {
    this.sources = new Sources(base);
  }

  /** The device, opened at the first call, and anew after it was lost. */
  async device(): Promise<OpenedDevice> {
    this.#opened ??= this.#open();
    try {
      return await this.#opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  /** Loads a model unless it is the one loaded. */
  load(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<ModelFacts> {
    return this.#inTurn(signal, async () => (await this.#loadRecovering(request, emit, signal)).facts);
  }

  run(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<RunResult> {
    return this.#inTurn(signal, async () => {
      const start = performance.now();
      const { device: first } = await this.device();
      first.pool.resetPeaks();
      const warning = await chooseKernels(first, this.sources, request, emit, signal);
      const { loaded, facts } = await this.#loadRecovering(request, emit, signal);
      const load = (performance.now() - start) / 1000;
      emit({ type: "model", facts, steps: stepsOf(loaded, generateOptions(request.options, signal, request.start)) });
      try {
        emit({ type: "stage", stage: "text", fraction: 0 });
        const result = await this.#follow(loaded, request, emit, signal);
        const { device, info } = await this.device();
        return {
          frames: result.frames,
          recipe: recipeOf({
            request,
            result,
            info: loaded.info,
            precision: facts.precision,
            adapter: info.name,
            names: await storedNames(request),
          }),
          seconds: { load, ...result.seconds },
          peakBytes: device.memory.peakReserved,
          warnings: [...(warning === undefined ? [] : [warning]), ...loaded.info.warnings, ...result.warnings],
        };
      } finally {
        this.#kernels?.stop();
        (await this.#opened?.catch(() => undefined))?.device.trim();
      }
    });
  }

  /** Gives the device back. What runs on it goes on with another. */
  async restart(): Promise<void> {
    const opened = await this.#opened;
    if (!opened) return;
    opened.gpu.destroy();
    this.#drop(opened);
  }

  source(label: string): string | undefined {
    return this.#kernels?.source(label);
  }

  async #open(): Promise<OpenedDevice> {
    const opened = await openGpu();
    void opened.gpu.lost.then(() => this.#drop(opened));
    await recallKernels(opened.device);
    return opened;
  }

  async #load(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<Loaded> {
    const { device } = await this.device();
    return this.#model.load(device, request, () => this.sources.open(request.choice, signal), emit, signal);
  }

  /** The same before a run: once more where the device is lost meanwhile. */
  async #loadRecovering(request: RunRequest, emit: Emit, signal: AbortSignal): Promise<Loaded> {
    try {
      return await this.#load(request, emit, signal);
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      const again = await this.#load(request, emit, signal);
      emit({ type: "reopened", steps: 0 });
      return again;
    }
  }

  async #follow(
    { pipeline }: LoadedPipeline,
    request: RunRequest,
    emit: Emit,
    signal: AbortSignal,
  ): Promise<FramesEvent> {
    const { options, start, word } = request;
    const guides = async (on: LoadedPipeline["pipeline"]): Promise<Guides> => {
      const { device, info } = await this.device();
      this.#kernels = request.profile && info.timestamps ? new KernelTimes(device, emit) : undefined;
      const open = (id: string) => this.sources.guide(id, signal);
      return this.#controls.guides(on, request, { open, emit, signal });
    };
    const run = {
      ...generateOptions(options, signal, start),
      ...(await guides(pipeline)),
      ...(word !== undefined && { attentionTo: word }),
    };
    const reopen = async (_: DeviceLostError, steps: number) => {
      this.#kernels?.stop();
      const { choices } = pipeline.parts.device.tuning;
      const { device } = await this.device();
      device.tuning.adopt(choices); // to the same bits
      const again = (await this.#load(request, emit, signal)).loaded.pipeline;
      emit({ type: "reopened", steps });
      emit({ type: "stage", stage: steps === 0 ? "text" : "denoise", fraction: 0 });
      return { pipeline: again, inputs: await guides(again) };
    };
    for await (const event of generateRecovering(pipeline, run, reopen, { previews: true })) {
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

  /** Runs `body` after what was asked for before; who is cancelled while waiting need not wait on. */
  async #inTurn<R>(signal: AbortSignal, body: () => Promise<R>): Promise<R> {
    const before = this.#turn;
    const turn = before.then(async () => {
      signal.throwIfAborted();
      return body();
    });
    this.#turn = turn.catch(() => undefined);
    try {
      using abort = new Abort(signal);
      await abort.or(before);
      return await turn;
    } catch (error) {
      // The library's words name options of the command line.
      if (!(error instanceof DeviceLostError)) throw error;
      throw new DeviceLostError("the graphics adapter was lost; run it again, smaller if it recurs", { cause: error });
    }
  }

  #drop(opened: OpenedDevice): void {
    void this.#opened?.then((now) => {
      if (now === opened) this.#opened = undefined;
    });
  }
}

/** Steps of a run: a video's strength leaves some out, FreeInit runs them several times. */
function stepsOf({ pipeline }: LoadedPipeline, options: GenerateOptions): number {
  return pipeline.scheduler(pipeline.settle(options)).timesteps.length;
}
