// The speed that batches are cut by: learnt, and never so wrong that the device waits for nothing.

import { describe, expect, it } from "vitest";
import { TYPICAL } from "../../src/gpu/limits.js";
import { Pace } from "../../src/gpu/pace.js";

const cpu = { ...TYPICAL, kind: "cpu" } as const;

describe("Pace", () => {
  it("fills a batch with what the device does in 40 ms, once it knows its speed", () => {
    const pace = new Pace(cpu);
    for (let i = 0; i < 30; i++) pace.observe(pace.budget, pace.budget / 1e7);
    expect(pace.budget / 1e7).toBeCloseTo(40, 0);
    expect(pace.expected(2e8)).toBeCloseTo(20, 0);
  });

  it("survives first dispatches that are compiled for seconds: waits stay short, and the speed comes back", () => {
    const pace = new Pace(cpu);
    for (let i = 0; i < 100; i++) pace.observe(100, 2000);
    expect(pace.expected(1e12)).toBeLessThanOrEqual(80);
    for (let i = 0; i < 60; i++) pace.observe(pace.budget, pace.budget / 4e6);
    expect(pace.budget).toBeGreaterThan(0.9 * 40 * 4e6);
  });
});
