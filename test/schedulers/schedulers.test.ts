/** Every sampler's timesteps, noise levels and whole runs against diffusers (test/reference/schedulers.py). */
import { describe, expect, it } from "vitest";
import { makeScheduler, SCHEDULER_NAMES } from "../../src/schedulers/index.js";
import { type Case, fixture, runCase, title } from "./reference.js";

/**
 * Rounding differs from torch's by a few 1e-7 a step. Where the noise is σ times the signal, one f32 rounding of the
 * sample is σ·2⁻²⁴ of the signal, and no arithmetic in f32 does better.
 */
const toleranceOf = ({ maxSigma }: Case): number => Math.max(1e-5, (maxSigma ?? 0) * 2 ** -24);

const names = [...new Set(fixture.cases.map((c) => c.name))];

describe.each(names)("%s follows diffusers", (name) => {
  it.each(fixture.cases.filter((c) => c.name === name).map((c) => [title(c), c] as const))("%s", (_, c) => {
    const { sample, x0 } = runCase(c);
    expect(sample).toBeLessThan(toleranceOf(c));
    expect(x0).toBeLessThan(toleranceOf(c));
  });
});

describe("every sampler", () => {
  it.each(SCHEDULER_NAMES)("%s: the run goes on from any step, and plans repeat", (name) => {
    const scheduler = makeScheduler(name, { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "linear" }, 6);
    const again = makeScheduler(name, { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "linear" }, 6);
    const backwards = scheduler.timesteps.map((_, i) => again.plan(scheduler.timesteps.length - 1 - i)).toReversed();
    scheduler.timesteps.forEach((_, i) => {
      const plan = scheduler.plan(i);
      expect(plan).toEqual(backwards[i]);
      expect(plan.assignments.some(({ to }) => to === "x0")).toBe(true);
      expect(plan.assignments.findLast(({ to }) => to === "sample")).toBeDefined();
    });
  });
});
