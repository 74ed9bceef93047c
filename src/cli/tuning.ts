// Choosing kernels by measurement before a run or a benchmark: once for an adapter, kept in the user's cache folder.
// On GPUs a run measures what was not measured yet: some seconds, once. Software adapters go by the table unless asked: they
// compile every candidate for about a second, which is most of what a first call takes, and the table was measured on one.

import { recallTuning, tune, type Tuned } from "../../kernels/tune.js";
import type { Device } from "../gpu/device.js";
import { DeviceLostError } from "../gpu/errors.js";
import { nodeTuningCache } from "../io/node-tuning.js";
import { tunePipeline } from "../pipelines/tune.js";
import { plannedRun } from "./fit.js";
import { elapsed, table } from "./format.js";
import type { RunArguments } from "./options.js";
import type { TuneArguments } from "./options-tune.js";
import type { Terminal } from "./terminal.js";

/** Chooses the kernels of a run before its model is loaded. */
export async function tuneFor(device: Device, a: RunArguments, terminal: Terminal, signal: AbortSignal): Promise<void> {
  if (a.tune === false) return;
  const cache = nodeTuningCache();
  if (a.tune !== true && device.capabilities.kind === "cpu") return recallTuning(device, cache);
  const start = performance.now();
  let measured = 0;
  try {
    const { what, options } = await plannedRun(a, device.capabilities);
    const results = await tunePipeline(device, what, options, {
      cache,
      redo: a.tune === true,
      signal,
      onProgress: (done, sites) => {
        measured = sites;
        terminal.progress("tune", done / sites, `${done} of ${sites} kinds of layer`);
      },
    });
    if (measured > 0) terminal.done("tune", elapsed(start), tunedText(results));
  } catch (error) {
    if (signal.aborted || a.tune === true || error instanceof DeviceLostError) throw error;
    terminal.warn(`choosing kernels by measurement failed, the built-in table is used: ${(error as Error).message}`);
  }
}

/** How many layers' kernels are others than the table's. */
export function tunedText(results: readonly Tuned[]): string {
  const others = results.filter((r) => r.way !== Object.keys(r.ms)[0]).length;
  return `${results.length} kinds of layer, ${others} by other kernels than the table's`;
}

/** Chooses the kernels of benchmarks, the workload: measured with --tune, else what is known. Prints what it measured. */
export async function tuneBench(
  device: Device,
  { tune: asked }: TuneArguments,
  workload: (dry: Device) => void,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  if (asked === false) return;
  const cache = nodeTuningCache();
  if (asked !== true) return recallTuning(device, cache);
  const results = await tune(device, workload, {
    cache,
    redo: true,
    signal,
    onProgress: (done, sites, site) => terminal.progress("tune", done / sites, site),
  });
  terminal.clear();
  const ways = ({ way, ms }: Tuned) =>
    Object.entries(ms).map(([w, t]) => `${w === way ? "→ " : ""}${w} ${t.toPrecision(3)} ms`);
  terminal.say(table([["kind of layer", "ways"], ...results.map((r) => [r.site, ways(r).join(", ")])], [false, false]));
}
