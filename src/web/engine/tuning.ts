// Choosing kernels by measurement before a run: on GPUs what was not measured yet is, some seconds, once for an adapter and its
// driver; what was found is kept in the browser. Software adapters go by the table, as on the command line.

import {
  DeviceLostError,
  recallTuning,
  tunePipeline,
  type Device,
  type GenerateOptions,
  type PlannedModel,
  type TuningCache,
} from "../../index.js";
import { storedTexts } from "../store/texts.js";
import type { RunEvent, RunRequest } from "./protocol.js";
import { generateOptions } from "./run-options.js";
import type { Sources } from "./sources.js";

/** A model and a run of it, without its weights and pictures. */
interface Workload {
  readonly what: PlannedModel;
  readonly options: GenerateOptions;
}

/** Workloads that a device was tuned for. */
const tuned = new WeakMap<Device, Set<string>>();

/** What was measured on this adapter on earlier visits. */
export function recallKernels(device: Device): Promise<void> {
  return recallTuning(device, storedTexts("tuning"));
}

/** Chooses the kernels of a run. @returns a sentence where it could not be done: the run goes by the table then */
export async function chooseKernels(
  device: Device,
  sources: Sources,
  request: RunRequest,
  emit: (event: RunEvent) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (device.capabilities.kind === "cpu") return undefined;
  const { choice, options } = request;
  // Words, seed and number of steps change nothing.
  const workload = JSON.stringify([choice, { ...options, prompt: "", negative: "", seed: "0", steps: 1 }]);
  const done = tuned.get(device) ?? new Set();
  if (done.has(workload)) return undefined;
  tuned.set(device, done.add(workload));
  const precision = choice.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  const plan = async (): Promise<Workload> => ({
    what: {
      ...(await sources.open(choice, signal)),
      precision,
      storage: { weights: choice.weights ?? precision, lowMemory: choice.lowMemory },
    },
    options: generateOptions(options, signal),
  });
  try {
    return await measureKernels(device, plan, storedTexts("tuning"), emit, signal);
  } catch (error) {
    done.delete(workload);
    throw error;
  }
}

/** Measures what the cache does not know, and tells how far it is. @returns as chooseKernels */
export async function measureKernels(
  device: Device,
  plan: () => Promise<Workload>,
  cache: TuningCache,
  emit: (event: RunEvent) => void,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { what, options } = await plan();
    await tunePipeline(device, what, options, {
      cache,
      signal,
      onProgress: (done, sites) =>
        emit({ type: "stage", stage: "tune", fraction: done / sites, detail: `${done + 1} of ${sites}` }),
    });
    return undefined;
  } catch (error) {
    if (signal.aborted || error instanceof DeviceLostError) throw error;
    return `choosing kernels by measurement failed, the built-in table is used: ${(error as Error).message}`;
  }
}
