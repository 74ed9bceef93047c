/** Every sampler's timesteps, noise levels and whole runs against diffusers (test/reference/schedulers.py). */
import { describe, expect, it } from "vitest";
import { fixture, runCase, title } from "./reference.js";

/** Runs of up to 50 steps in f32: rounding differs by a few 1e-7 a step, amplified where √ᾱ is small. */
const TOLERANCE = 1e-5;

const names = [...new Set(fixture.cases.map((c) => c.name))];

describe.each(names)("%s follows diffusers", (name) => {
  it.each(fixture.cases.filter((c) => c.name === name).map((c) => [title(c), c] as const))("%s", (_, c) => {
    const { sample, x0 } = runCase(c);
    expect(sample).toBeLessThan(TOLERANCE);
    expect(x0).toBeLessThan(TOLERANCE);
  });
});
