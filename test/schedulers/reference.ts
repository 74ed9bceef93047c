/** The fake network and noise of test/reference/schedulers.py, and a run over them. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import {
  applyPlan,
  makeScheduler,
  type SchedulerConfig,
  type SchedulerName,
  type SchedulerOptions,
} from "../../src/schedulers/index.js";

export interface Case {
  readonly name: SchedulerName;
  readonly config: SchedulerConfig;
  readonly steps: number;
  readonly options: SchedulerOptions;
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  /** The largest σ = √((1 − ᾱ)/ᾱ) of the schedule; null where it is infinite. */
  readonly maxSigma: number | null;
  readonly addNoise: readonly [number, number] | null;
  readonly samples: Readonly<Record<string, readonly number[]>>;
  readonly x0: Readonly<Record<string, readonly number[]>>;
}

interface Fixture {
  readonly schedules: readonly {
    readonly config: SchedulerConfig;
    readonly at: readonly number[];
    readonly alphasCumprod: readonly number[];
  }[];
  readonly cases: readonly Case[];
}

export const fixture = JSON.parse(
  readFileSync(new URL("../reference/fixtures/schedulers.json", import.meta.url), "utf8"),
) as Fixture;

const SIZE = 8;

export function fakeNoise(k: number): Float32Array {
  return Float32Array.from({ length: SIZE }, (_, j) => 1.3 * Math.sin(1.7 * k + 0.9 * j * j + 0.4));
}

export function fakeNetwork(x: Float32Array, t: number): Float32Array {
  return x.map((v, j) => 0.7 * Math.sin(v + t / 300 + j) + 0.2 * Math.cos(2 * j));
}

/** max |a − b| / max |b| */
export function relativeError(actual: Float32Array, wanted: readonly number[]): number {
  expect(actual.length).toBe(wanted.length);
  const scale = Math.max(...wanted.map(Math.abs));
  return Math.max(...wanted.map((w, i) => (Number.isNaN(actual[i]) ? Infinity : Math.abs(actual[i]! - w)))) / scale;
}

export const title = ({ name, steps, config, options }: Case): string =>
  `${name} ${steps} ${JSON.stringify({ ...config, ...options })}`;

/** Runs a case, rebuilding the slots from the declared history at every step; returns the worst relative errors. */
export function runCase(c: Case): { readonly sample: number; readonly x0: number } {
  const scheduler = makeScheduler(c.name, c.config, c.steps, c.options);
  expect(scheduler.timesteps.length).toBe(c.timesteps.length);
  c.timesteps.forEach((t, i) => expect(scheduler.timesteps[i]).toBeCloseTo(t, 3));
  expect(Math.abs(scheduler.initNoiseSigma / c.initNoiseSigma - 1)).toBeLessThan(1e-6);

  let x = fakeNoise(1000).map((v) => v * scheduler.initNoiseSigma);
  if (c.addNoise !== null) {
    const { original, noise } = scheduler.addNoise();
    expect(Math.abs(original / c.addNoise[0] - 1)).toBeLessThan(1e-6);
    expect(Math.abs(noise / c.addNoise[1] - 1)).toBeLessThan(1e-6);
    const clean = fakeNoise(1001);
    x = fakeNoise(1000).map((v, i) => original * clean[i]! + noise * v);
  }
  let slots = new Map<string, Float32Array>([["sample", x]]);
  let draws = 0;
  const worst = { sample: 0, x0: 0 };
  scheduler.timesteps.forEach((t, i) => {
    const scale = scheduler.inputScale(i);
    slots.set(
      "output",
      fakeNetwork(
        slots.get("sample")!.map((v) => v * scale),
        t,
      ),
    );
    const plan = scheduler.plan(i);
    applyPlan(plan, slots, plan.drawsNoise ? fakeNoise(draws++) : undefined);
    const [sample, x0] = [c.samples[i], c.x0[i]];
    if (sample !== undefined) worst.sample = Math.max(worst.sample, relativeError(slots.get("sample")!, sample));
    if (x0 !== undefined) worst.x0 = Math.max(worst.x0, relativeError(slots.get("x0")!, x0));
    // Only the sample and the declared history live on, as in a run that was interrupted here.
    slots = new Map([...slots].filter(([slot]) => slot === "sample" || scheduler.history.some((h) => h === slot)));
  });
  return worst;
}
