// The speed that batches are cut by: learnt, and found again after a time that was wrong.

import { describe, expect, it } from "vitest";
import { TYPICAL } from "../../src/gpu/limits.js";
import { Pace } from "../../src/gpu/pace.js";

const cpu = { ...TYPICAL, kind: "cpu" } as const;

describe("Pace", () => {
  it("fills a batch with what the device does in 40 ms, once it knows its speed", () => {
    const pace = new Pace(cpu);
    for (let i = 0; i < 30; i++) pace.observe(pace.budget, pace.budget / 1e7);
    expect(pace.budget / 1e7).toBeCloseTo(40, 0);
  });

  it("survives first dispatches that are compiled for seconds: the speed comes back", () => {
    const pace = new Pace(cpu);
    for (let i = 0; i < 100; i++) pace.observe(100, 2000);
    expect(pace.budget).toBeCloseTo((40 * 4e6) / 1000);
    for (let i = 0; i < 60; i++) pace.observe(pace.budget, pace.budget / 4e6);
    expect(pace.budget).toBeGreaterThan(0.9 * 40 * 4e6);
  });
});
