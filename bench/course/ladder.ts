// The course's ladders: one operation, from the plain kernel up, one idea a step. Each step is a shader that runs: it is
// checked against the first one, timed, and printed, on whatever adapter the reader has.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Device } from "../../src/gpu/device.js";
import type { Capabilities } from "../../src/gpu/limits.js";
import { Stopwatch } from "../../src/gpu/stopwatch.js";
import type { Tensor } from "../../src/tensor/tensor.js";
import { shaders, type ShaderName } from "../../shaders/index.js";
import { distance, MOST_AT_ONCE, SHORT_MS } from "../run.js";

/** One idea. */
export interface Step {
  readonly title: string;
  /** The files that the page shows, from the repository's root; the first one's header says what the idea is. */
  readonly files: readonly string[];
  /** Why an adapter cannot run it; undefined where it can. */
  readonly lacks?: (c: Capabilities) => string | undefined;
  /** Records the step once. */
  readonly run: () => Tensor;
}

export interface Ladder {
  readonly name: string;
  readonly title: string;
  /** What is computed, with its sizes. */
  readonly task: string;
  readonly flops: number;
  readonly bytes: number;
  /** Allowed relative L2 distance from the first step. */
  readonly tolerance: number;
  readonly steps: readonly Step[];
}

/** Builds a ladder on a device; `small`: sizes for a test. */
export type LadderOf = (device: Device, small: boolean) => Ladder;

export interface Measured {
  readonly title: string;
  /** Of the fastest run; absent where the adapter lacks something. */
  readonly ms?: number;
  readonly lacks?: string;
}

/**
 * Checks and times every step.
 * @throws Error where a step computes something else than the first one
 */
export async function climb(
  device: Device,
  ladder: Ladder,
  onStep?: (m: Measured) => void,
  repeats = 9,
): Promise<Measured[]> {
  const results: Measured[] = [];
  const stopwatch = device.capabilities.kind === "gpu" ? new Stopwatch(device) : undefined;
  let reference: Float32Array | undefined;
  for (const { title, lacks, run } of ladder.steps) {
    const missing = lacks?.(device.capabilities);
    if (missing === undefined) {
      const y = run();
      const values = await y.read();
      y.dispose();
      reference ??= values;
      const d = distance(values, reference);
      if (!(d <= ladder.tolerance))
        throw new Error(
          `course ${ladder.name}, step "${title}": relative L2 distance ${d.toExponential(1)} from the first step, expected at most ${ladder.tolerance}`,
        );
      const once = async () => {
        if (stopwatch) return stopwatch.time(run, SHORT_MS, MOST_AT_ONCE);
        const start = performance.now();
        run().dispose();
        await device.drain();
        return performance.now() - start;
      };
      // The fastest: what else runs on a machine only ever adds time.
      let ms = Infinity;
      for (let i = 0; i < repeats; i++) ms = Math.min(ms, await once());
      results.push({ title, ms });
    } else {
      results.push({ title, lacks: missing });
    }
    onStep?.(results.at(-1)!);
  }
  return results;
}

/** A step as a line: time, rate, gain over the step before and over the first. */
export function stepLine(ladder: Ladder, results: readonly Measured[], i: number): string {
  const { title, ms, lacks } = results[i]!;
  const name = `${i + 1}. ${title}`.padEnd(46);
  if (ms === undefined) return `${name} (${lacks ?? "not run"})`;
  const before = results.slice(0, i).findLast((r) => r.ms !== undefined)?.ms;
  const first = results[0]?.ms;
  const rate =
    ladder.flops > 10 * ladder.bytes
      ? `${(ladder.flops / ms / 1e6).toFixed(2)} GFLOPS`
      : `${(ladder.bytes / ms / 1e6).toFixed(2)} GB/s`;
  const gain =
    before === undefined || first === undefined
      ? ""
      : `${(before / ms).toFixed(1)}× the step before, ${(first / ms).toFixed(1)}× the first`;
  return `${name}${ms.toFixed(1).padStart(9)} ms${rate.padStart(14)}   ${gain}`.trimEnd();
}

/** The repository's root, seen from this file's place in the sources and in dist/. */
export function root(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return join(here, here.includes(join("dist", "bench")) ? "../../.." : "../..");
}

/** A file of the repository as text; shaders with what they include. */
export function source(path: string): string {
  const shader = /^shaders\/(.+)\.wgsl$/.exec(path)?.[1];
  if (shader !== undefined && shader in shaders) return shaders[shader as ShaderName];
  return readFileSync(join(root(), path), "utf8");
}
