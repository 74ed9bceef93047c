// Runs microbenchmarks: sets a case up, checks its result, warms up, repeats, takes the median.

import type { Device } from "../src/gpu/device.js";
import { Stopwatch } from "../src/gpu/stopwatch.js";
import type { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase, PreparedBench } from "./case.js";
import { casesNamed } from "./index.js";
import { cases as peaks } from "./peak.bench.js";

export interface BenchOptions {
  /** Names as in bench/index.ts, `elementwise*` for several; default all. */
  readonly names?: readonly string[];
  /** Storage of weights and activations; default f16 where the adapter has it. */
  readonly precision?: "f32" | "f16";
  /** Measured repeats, at least and by default 5. */
  readonly repeats?: number;
  /** Called with each result as it comes. */
  readonly onResult?: (result: BenchResult) => void;
  readonly signal?: AbortSignal;
}

/** One line of `kineograph bench`. */
export interface BenchResult {
  readonly name: string;
  readonly dtype: "f32" | "f16";
  /** Median of one run. */
  readonly ms: number;
  readonly gflops: number;
  /** GB/s of what must be moved at least. */
  readonly gbps: number;
  /** Of this adapter's measured peak: arithmetic or memory, whichever the case comes closer to. */
  readonly share: number;
}

/** An adapter's measured limits. */
export interface Peak {
  readonly gflops: number;
  readonly gbps: number;
}

/** Shorter runs than this are timed by the dozen: clocks are coarse, and submitting takes time. */
export const SHORT_MS = 10;
export const MOST_AT_ONCE = 200;

/**
 * Runs benchmarks one after the other.
 * @throws Error for unknown names, and where a case computes something wrong
 */
export async function runBench(device: Device, options: BenchOptions = {}): Promise<BenchResult[]> {
  const chosen = casesNamed(options.names ?? []);
  const dtype = options.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  if (dtype === "f16" && !device.capabilities.f16)
    throw new Error(`bench: ${device.capabilities.name} has no shader-f16; use --precision f32`);
  const peak = await measurePeak(device);
  const results: BenchResult[] = [];
  for (const c of chosen) {
    options.signal?.throwIfAborted();
    const bench = await prepare(device, c, dtype);
    try {
      const ms = await median(options.repeats ?? 5, () => time(device, bench));
      results.push(rate(c.name, dtype, ms, bench.prepared, peak));
    } finally {
      bench.dispose();
    }
    options.onResult?.(results.at(-1)!);
  }
  return results;
}

/** Runs cases on a device that executes nothing: to see what they dispatch. */
export function pretendBench(dry: Device, names: readonly string[], dtype: "f32" | "f16"): void {
  for (const c of casesNamed(names)) {
    const held = dry.hold(() => c.setup(dry, dtype));
    held.result.pretend?.();
    held.result.run().dispose();
    held.result.dispose?.();
    held.dispose();
  }
}

/** A case set up on a device, checked and warm. */
export interface WarmBench {
  readonly prepared: PreparedBench;
  /** Runs that are timed together. */
  readonly count: number;
  /** One run. */
  readonly run: () => Tensor;
  /** What times on GPUs, at their full clock; software adapters have none to raise. */
  readonly stopwatch?: Stopwatch;
  dispose(): void;
}

/** Sets up, checks and warms up. @throws Error where the result is not what the case expects */
export async function prepare(device: Device, c: BenchCase, dtype: "f32" | "f16"): Promise<WarmBench> {
  const held = device.hold(() => c.setup(device, dtype));
  const prepared = held.result;
  const warm: WarmBench = {
    prepared,
    count: 1,
    run: () => prepared.run(),
    ...(device.capabilities.kind === "gpu" && { stopwatch: new Stopwatch(device) }),
    dispose: () => {
      prepared.dispose?.();
      held.dispose();
    },
  };
  try {
    await prepared.ready?.();
    await check(c.name, prepared);
    const ms = await time(device, warm);
    return { ...warm, count: Math.max(1, Math.min(MOST_AT_ONCE, Math.ceil(SHORT_MS / ms))) };
  } catch (error) {
    warm.dispose();
    throw error;
  }
}

/**
 * Milliseconds of one run: by the GPU's clock for long runs where it has one (on GPUs for short ones too: stopwatch.ts),
 * else (and where `wall` asks for it, beside peers that have no other) from submission to completion.
 */
export async function time(device: Device, { run, count, stopwatch }: WarmBench, wall = false): Promise<number> {
  const together = async () => {
    for (let i = 0; i < count; i++) run().dispose();
    const start = performance.now();
    await device.drain();
    return (performance.now() - start) / count;
  };
  if (stopwatch && !wall) return stopwatch.time(run, SHORT_MS, MOST_AT_ONCE);
  await stopwatch?.warmUp(together);
  const profiler = count === 1 && !wall && device.capabilities.timestamps ? device.createProfiler() : undefined;
  device.profiler = profiler;
  try {
    const elapsed = await together();
    const ms = profiler?.entries.reduce((sum, e) => sum + e.ms, 0) ?? 0;
    return ms > 0 ? ms : elapsed;
  } finally {
    device.profiler = undefined;
  }
}

/** The middle of `n` (at least 5) measurements. */
export async function median(n: number, measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < Math.max(5, n); i++) values.push(await measure());
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** What arithmetic and memory reach on this device at best. */
export async function measurePeak(device: Device): Promise<Peak> {
  let peak: Peak = { gflops: 0, gbps: 0 };
  for (const c of peaks) {
    const bench = await prepare(device, c, "f32");
    try {
      // The fastest of several: a limit is not what a busy machine reaches on average.
      let ms = Infinity;
      for (let i = 0; i < 5; i++) ms = Math.min(ms, await time(device, bench));
      const { flops, bytes } = bench.prepared;
      peak = { gflops: Math.max(peak.gflops, flops / ms / 1e6), gbps: Math.max(peak.gbps, bytes / ms / 1e6) };
    } finally {
      bench.dispose();
    }
  }
  return peak;
}

function rate(
  name: string,
  dtype: "f32" | "f16",
  ms: number,
  { flops, bytes }: PreparedBench,
  peak: Peak,
): BenchResult {
  const gflops = flops / ms / 1e6;
  const gbps = bytes / ms / 1e6;
  return { name, dtype, ms, gflops, gbps, share: Math.max(gflops / peak.gflops, gbps / peak.gbps) };
}

async function check(name: string, prepared: PreparedBench): Promise<void> {
  using y = prepared.run();
  const values = await y.read();
  const actual = prepared.sample?.(values) ?? values;
  const expected = await prepared.expected();
  const d = distance(actual, expected);
  if (!(d <= prepared.tolerance))
    throw new Error(
      `bench ${name}: the result is wrong: relative L2 distance ${d.toExponential(1)}, expected at most ${prepared.tolerance}`,
    );
}

/** Relative L2 distance; NaN where the lengths differ. */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return NaN;
  let [error, norm] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    error += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(error / norm);
}
