// Runs made to fit a memory: planned as asked for, and where that exceeds the memory, with what takes less.

import { totalmem } from "node:os";
import { OutOfMemoryError } from "../gpu/errors.js";
import type { Capabilities } from "../gpu/limits.js";
import type { GenerateOptions } from "../pipelines/options.js";
import { planPipeline, type Plan, type PlannedModel } from "../pipelines/plan.js";
import { bytes } from "./format.js";
import type { Terminal } from "./terminal.js";
import { plannedControl } from "./controls.js";
import { generateOptions, type RunArguments } from "./options.js";
import { storageOf } from "./options-memory.js";
import { openInitVideo, plannedVideo, videoOptions } from "./options-video.js";
import { networksOf } from "./networks.js";

/** What may be given up to fit, the cheapest first. */
const WAYS = [
  {},
  { vaeTiling: true },
  { lowMemory: true },
  { vaeTiling: true, lowMemory: true },
] as const satisfies readonly Partial<RunArguments>[];

/** Memory that a run may use: --memory, else the machine's where the adapter works in it; WebGPU does not tell a GPU's. */
export function memoryFor(a: RunArguments, { kind }: Capabilities): number | undefined {
  return a.memory ?? (kind === "cpu" ? totalmem() : undefined);
}

/** Says what was added to a run so that it fits. */
export function tellChanges(changes: readonly string[], terminal: Terminal): void {
  if (changes.length > 0) terminal.say(`memory    ${changes.join(" and ")}, so that it fits`);
}

/** What planning the run of `a` takes. */
export async function plannedRun(
  a: RunArguments,
  capabilities: Capabilities,
): Promise<{ readonly what: PlannedModel; readonly options: GenerateOptions }> {
  const precision = a.precision ?? (capabilities.f16 ? "f16" : "f32");
  const source = await openInitVideo(a);
  const options = { ...generateOptions("", a), ...videoOptions(source && plannedVideo(source, a), a) };
  const what = { ...(await networksOf(a, precision === "f16")), precision, storage: storageOf(a, precision) };
  return { what, options };
}

/** Plans the run of `a`. */
export async function planOf(a: RunArguments, capabilities: Capabilities): Promise<Plan> {
  const { what, options } = await plannedRun(a, capabilities);
  return planPipeline(capabilities, what, options, plannedControl(a, options));
}

/** A run in a memory. */
export interface Fit {
  readonly run: RunArguments;
  /** What it has beside what was asked for, so that it fits. */
  readonly way: Partial<RunArguments>;
  /** The same as options. */
  readonly changes: readonly string[];
  readonly fits: boolean;
  /** Undefined where nothing limits the run. */
  readonly plan?: Plan;
}

/** `a` with --vae-tiling or --low-memory where only so it fits the memory; where it fits in no way, the one that takes least. */
export async function closestFit(a: RunArguments, capabilities: Capabilities): Promise<Fit> {
  const memory = memoryFor(a, capabilities);
  // The bundled model takes some megabytes: planning it costs more than it could tell.
  if (memory === undefined || (a.memory === undefined && a.model === undefined))
    return { run: a, way: {}, changes: [], fits: true };
  let least: (Fit & { readonly plan: Plan }) | undefined;
  for (const way of WAYS) {
    const run = { ...a, ...way };
    const changes = [
      ...(run.vaeTiling === true && a.vaeTiling !== true ? ["--vae-tiling"] : []),
      ...(run.lowMemory === true && a.lowMemory !== true ? ["--low-memory"] : []),
    ];
    const plan = await planOf(run, capabilities);
    const fits = plan.peakBytes <= memory;
    if (fits || !least || plan.peakBytes < least.plan.peakBytes) least = { run, way, changes, fits, plan };
    if (fits) break;
  }
  return least!;
}

/** A run that fits. */
export type Fitted = Pick<Fit, "run" | "way" | "changes">;

/** @throws OutOfMemoryError where it does not fit in any way */
export async function fitted(a: RunArguments, capabilities: Capabilities): Promise<Fitted> {
  const fit = await closestFit(a, capabilities);
  if (fit.fits) return fit;
  const { plan } = fit;
  throw new OutOfMemoryError(
    `this run takes at least ${bytes(plan!.peakBytes)} of the adapter's memory, also with --low-memory and --vae-tiling, and ${bytes(memoryFor(a, capabilities)!)} ${a.memory === undefined ? "is what the machine has" : "is what --memory allows"}; fewer frames or a smaller size take less`,
  );
}
