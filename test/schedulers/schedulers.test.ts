/** Every sampler's timesteps, noise levels and whole runs against diffusers (test/reference/schedulers.py). */
import { describe, expect, it } from "vitest";
import { applyPlan, makeScheduler, SCHEDULER_NAMES } from "../../src/schedulers/index.js";
import { type Case, fakeNoise, fixture, relativeError, runCase, title } from "./reference.js";

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

  /** Where every output is the true noise, any order of any method must land on x₀, from any strength. */
  it.each(
    SCHEDULER_NAMES.filter((name) => !["euler-a", "dpm++-sde", "lcm"].includes(name)).flatMap((name) =>
      [1, 0.8, 0.5].map((strength) => [name, strength] as const),
    ),
  )("%s at strength %d finds x0 with a network that knows the noise", (name, strength) => {
    const config = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "linear" };
    for (const skip_prk_steps of name === "pndm" ? [true, false] : [false]) {
      const options = { strength, ...(name === "tcd" ? { eta: 0 } : {}) };
      const scheduler = makeScheduler(name, { ...config, skip_prk_steps }, 10, options);
      const { original, noise } = scheduler.addNoise();
      const [clean, eps] = [fakeNoise(1), fakeNoise(2)];
      const slots = new Map<string, Float32Array>([["sample", clean.map((v, j) => original * v + noise * eps[j]!)]]);
      scheduler.timesteps.forEach((_, i) => {
        slots.set("output", eps);
        applyPlan(scheduler.plan(i), slots);
        expect(relativeError(slots.get("x0")!, [...clean]), `x0 after step ${i}`).toBeLessThan(1e-4);
      });
      // What is left is the noise of the lowest level, where the schedule does not end at zero.
      const left = slots.get("sample")!.map((v, j) => v - clean[j]!);
      expect(Math.max(...left.map(Math.abs)), "noise left").toBeLessThan(0.05);
    }
  });
});
