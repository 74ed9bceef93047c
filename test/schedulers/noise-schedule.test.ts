/** ᾱ of every beta schedule against diffusers, and torch's linspace. */
import { describe, expect, it } from "vitest";
import { ConfigReader } from "../../src/schedulers/config.js";
import { alphasCumprod, fromPrediction, linspaceF32, signalAndNoise } from "../../src/schedulers/noise-schedule.js";
import { fixture } from "./reference.js";

describe("alphasCumprod", () => {
  it.each(fixture.schedules.map((s) => [JSON.stringify(s.config), s] as const))("%s", (_, schedule) => {
    const common = new ConfigReader(schedule.config, "DDIMScheduler", []).common({
      betaStart: 0.0001,
      betaEnd: 0.02,
      betaSchedule: "linear",
      spacing: "leading",
    });
    const bar = alphasCumprod(common);
    schedule.at.forEach((t, i) => {
      const wanted = schedule.alphasCumprod[i]!;
      expect(Math.abs(bar[t]! - wanted), `t = ${t}`).toBeLessThanOrEqual(1e-6 * wanted);
    });
  });
});

describe("linspaceF32", () => {
  it("meets both ends exactly and has n values", () => {
    const x = linspaceF32(0.00085, 0.012, 1000);
    expect([x.length, x[0], x[999]]).toEqual([1000, Math.fround(0.00085), Math.fround(0.012)]);
    expect([...linspaceF32(3, 9, 1)]).toEqual([3]);
  });
});

describe("fromPrediction", () => {
  it("recovers x0 and ε, whatever is predicted", () => {
    const { alpha, sigma } = signalAndNoise(0.36);
    const [x0, eps] = [0.7, -1.2];
    const sample = alpha * x0 + sigma * eps;
    const outputs = { epsilon: eps, sample: x0, v_prediction: alpha * eps - sigma * x0 };
    for (const type of ["epsilon", "sample", "v_prediction"] as const) {
      const terms = fromPrediction(type, alpha, sigma);
      const value = (t: typeof terms.x0): number =>
        t.reduce((sum, [slot, c]) => sum + c * (slot === "sample" ? sample : outputs[type]), 0);
      expect(value(terms.x0)).toBeCloseTo(x0, 6);
      expect(value(terms.eps)).toBeCloseTo(eps, 6);
    }
  });
});
