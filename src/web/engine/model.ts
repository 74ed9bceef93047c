// The model on the device: one at a time, kept for the next run. Another weight of a LoRA reads only what the LoRA changes.

import { loadPipeline, type Device, type LoadedPipeline, type LoadStage } from "../../index.js";
import type { ModelFacts, RunEvent, RunRequest } from "./protocol.js";
import { generateOptions } from "./run-options.js";
import type { OpenedSources } from "./sources.js";

/** The model on the device. */
export interface Loaded {
  /** The choice it was loaded by, but for LoRAs; and those merged into it. */
  readonly key: string;
  readonly stack: string;
  readonly device: Device;
  readonly loaded: LoadedPipeline;
  readonly facts: ModelFacts;
}

export class Model {
  #loaded: Loaded | undefined;

  /** Loads what a request asks for, unless it is there. */
  async load(
    device: Device,
    { choice, options, start }: RunRequest,
    open: () => Promise<OpenedSources>,
    emit: (event: RunEvent) => void,
    signal: AbortSignal,
  ): Promise<Loaded> {
    const { loras, ...rest } = choice;
    const [key, stack] = [JSON.stringify(rest), JSON.stringify(loras)];
    // One on a device that was lost is gone.
    if (this.#loaded?.device !== device) this.#loaded = undefined;
    if (this.#loaded?.key === key && this.#loaded.stack === stack) return this.#loaded;
    emit({ type: "stage", stage: "download", fraction: 0 });
    const sources = await open();
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
    this.#loaded = { key, stack, device, loaded, facts: { precision, weightBytes: loaded.info.weightBytes } };
    return this.#loaded;
  }
}
