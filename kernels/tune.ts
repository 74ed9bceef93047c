// Autotuning: which of the ways that kernels have to do the work of a workload is the fastest on this device. A workload is
// run dry to see by which sites it comes and what each way would dispatch there; these dispatches are timed on scratch memory;
// what won is kept for the adapter, its driver and these very shaders, by whoever offers a place for it.

import { Device } from "../src/gpu/device.js";
import type { PoolBuffer } from "../src/gpu/pool.js";
import { Stopwatch } from "../src/gpu/stopwatch.js";
import type { Choices, Trial, TuningCache } from "../src/gpu/tuning.js";
import type { Dispatch } from "../src/gpu/work.js";
import { shaders } from "../shaders/index.js";

/** One site's result, in milliseconds; the table's way first. */
export interface Tuned {
  readonly site: string;
  readonly way: string;
  readonly ms: Readonly<Record<string, number>>;
}

/** Times one way of a trial: milliseconds of a run. */
export type Timer = (run: () => void, what: { readonly site: string; readonly way: string }) => Promise<number>;

export interface TuneOptions {
  readonly cache?: TuningCache;
  /** Times also what the cache knows; default false. */
  readonly redo?: boolean;
  /** Default: the adapter's clock where it has one, else the wall's. */
  readonly timer?: Timer;
  readonly onProgress?: (done: number, sites: number, site: string) => void;
  readonly signal?: AbortSignal;
}

/** A way is taken instead of the table's only where it is faster by more than measurements differ. */
const GAIN = 0.95;
/** A way that takes so many times as long as another is not tried again. */
const HOPELESS = 1.3;
/** Runs of each way that count, in turns; the fastest does. */
const RUNS = 3;
/** Shorter runs than this are timed several at once, so many at most. */
const SHORT_MS = 2;
const MOST_AT_ONCE = 50;
/** The same on GPUs, where timing many costs little. */
const GPU_MS = 5;
const GPU_MOST_AT_ONCE = 1000;
const FORMAT = 1;

/**
 * Makes `device` choose the fastest way at every site of `workload`, by what the cache knows and by timing the rest.
 * `workload` is run once on a device that executes nothing. Results may differ in their last bits from the table's: sums
 * are taken in another order.
 * @returns what was found, this time or before, for each site of the workload
 */
export async function tune(
  device: Device,
  workload: (dry: Device) => void,
  options: TuneOptions = {},
): Promise<readonly Tuned[]> {
  const { cache, redo = false, timer = clockOf(device), onProgress, signal } = options;
  using dry = Device.dry(device.capabilities);
  const trials = dry.tuning.collect();
  workload(dry);
  const name = cacheName(device);
  const known = parse(await cache?.read(name));
  const open = [...trials.values()].filter((t) => redo || !fits(known.get(t.site), t));
  device.compileAhead(open.flatMap((t) => [...t.ways.values()].flatMap((dispatches) => dispatches.map((d) => d.code))));
  for (const [i, trial] of open.entries()) {
    signal?.throwIfAborted();
    onProgress?.(i, open.length, trial.site);
    known.set(trial.site, await timed(device, trial, timer));
  }
  if (open.length > 0) await cache?.write(name, print([...known.values()]));
  const results = [...trials.keys()].map((site) => known.get(site)!);
  const others = Object.entries(device.tuning.choices).filter(([site]) => !trials.has(site));
  device.tuning.adopt({ ...Object.fromEntries(others), ...choicesOf(results) });
  return results;
}

/** Makes `device` choose by what the cache knows of it; times nothing. */
export async function recallTuning(device: Device, cache: TuningCache): Promise<void> {
  const known = parse(await cache.read(cacheName(device)));
  device.tuning.adopt(choicesOf([...known.values()]));
}

/** The choices among results that are not the table's. */
export function choicesOf(results: readonly Tuned[]): Choices {
  return Object.fromEntries(results.filter((r) => r.way !== Object.keys(r.ms)[0]).map((r) => [r.site, r.way]));
}

/** Under what the results of a device are kept: they hold for this adapter, driver and features, and these shaders. */
export function cacheName({ capabilities }: Device): string {
  return `tuning-${digest(capabilities.identity)}-${digest(JSON.stringify(shaders))}`;
}

/** A cache in the browser's storage, or whatever is like it. */
export function storageTuningCache(storage: Pick<Storage, "getItem" | "setItem">): TuningCache {
  return {
    read: (name) => Promise.resolve(storage.getItem(`kineograph ${name}`) ?? undefined),
    write: (name, text) => {
      try {
        storage.setItem(`kineograph ${name}`, text);
      } catch {
        // full or forbidden: it is measured again next time
      }
      return Promise.resolve();
    },
  };
}

/** Runs every way in turns on scratch memory. */
async function timed(device: Device, { site, ways }: Trial, timer: Timer): Promise<Tuned> {
  const scratch = new Map<PoolBuffer, PoolBuffer>();
  try {
    const runs = [...ways].map(([way, dispatches]) => {
      const work = dispatches.map((d) => ({ ...d, bindings: onScratch(device, d, scratch) }));
      return { way, run: () => work.forEach((d) => device.dispatch(d)), ms: Infinity };
    });
    const best = () => Math.min(...runs.map((r) => r.ms));
    for (const { run } of runs) {
      run(); // compiles, and warms up
      await device.drain();
    }
    for (let turn = 0; turn < RUNS; turn++)
      for (const r of runs)
        if (turn === 0 || r.ms < HOPELESS * best()) r.ms = Math.min(r.ms, await timer(r.run, { site, way: r.way }));
    const [usual] = runs;
    const fastest = runs.find((r) => r.ms === best())!;
    const way = fastest.ms < GAIN * usual!.ms ? fastest.way : usual!.way;
    return { site, way, ms: Object.fromEntries(runs.map((r) => [r.way, r.ms])) };
  } finally {
    for (const buffer of scratch.values()) device.pool.release(buffer);
    device.trim(); // the next site wants other sizes
  }
}

/** A dispatch's bindings on buffers of this device that are as large as those it was planned with. */
function onScratch(device: Device, d: Dispatch, scratch: Map<PoolBuffer, PoolBuffer>): Dispatch["bindings"] {
  return d.bindings.map((b) => {
    const buffer = scratch.get(b.buffer) ?? device.pool.acquire(b.buffer.bytes, "tuning");
    scratch.set(b.buffer, buffer);
    return { ...b, buffer };
  });
}

/** Times by the adapter's clock where it has one, on GPUs while it is at full speed. */
function clockOf(device: Device): Timer {
  const stopwatch = new Stopwatch(device);
  if (device.capabilities.kind === "gpu") return (run) => stopwatch.time(run, GPU_MS, GPU_MOST_AT_ONCE);
  return async (run) => {
    const once = async (count: number) => {
      const profiler = device.capabilities.timestamps ? device.createProfiler() : undefined;
      device.profiler = profiler;
      for (let i = 0; i < count; i++) run();
      const start = performance.now();
      try {
        await device.drain();
      } finally {
        device.profiler = undefined;
      }
      const ms = profiler?.entries.reduce((sum, e) => sum + e.ms, 0) ?? 0;
      return (ms > 0 ? ms : performance.now() - start) / count;
    };
    const ms = await once(1);
    return ms >= SHORT_MS ? ms : once(Math.min(MOST_AT_ONCE, Math.ceil(SHORT_MS / Math.max(ms, 1e-3))));
  };
}

/** Whether a result is one of these ways, measured against all of them. */
function fits(result: Tuned | undefined, { ways }: Trial): boolean {
  return result !== undefined && Object.keys(result.ms).join() === [...ways.keys()].join();
}

function print(results: readonly Tuned[]): string {
  return `${JSON.stringify({ format: FORMAT, results }, undefined, 1)}\n`;
}

/** Results by site; none where the text is not what `print` writes. */
function parse(text: string | undefined): Map<string, Tuned> {
  try {
    const { format, results } = JSON.parse(text ?? "{}") as { format?: unknown; results?: unknown };
    if (format !== FORMAT || !Array.isArray(results)) return new Map();
    return new Map(results.filter(isTuned).map((r) => [r.site, r]));
  } catch {
    return new Map();
  }
}

function isTuned(value: unknown): value is Tuned {
  const { site, way, ms } = (value ?? {}) as Partial<Record<keyof Tuned, unknown>>;
  if (typeof site !== "string" || typeof way !== "string" || typeof ms !== "object" || ms === null) return false;
  return way in ms && Object.values(ms).every((n) => typeof n === "number" && n >= 0);
}

/** 64-bit FNV-1a, in hexadecimal. */
function digest(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
