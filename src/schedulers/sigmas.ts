/**
 * Noise levels σ of a run, for the samplers that step in σ (sample = x₀ + σ·ε) or in λ = ln(α/σ): the table's values at
 * the visited timesteps, or Karras' (arXiv 2206.00364, ρ = 7), and the timestep of a σ between two of the table's.
 */
import { linspace } from "./timesteps.js";

const { fround, log, sqrt } = Math;
const RHO = 7;

/** numpy.interp over the table's indices: linear between neighbours, constant beyond the ends. */
export function sigmaAt(table: Float32Array, t: number): number {
  if (t <= 0) return table[0]!;
  if (t >= table.length - 1) return table.at(-1)!;
  const low = Math.floor(t);
  return (table[low + 1]! - table[low]!) * (t - low) + table[low]!;
}

/** n noise levels from `max` down to `min`, evenly spaced in σ^(1/ρ). */
export function karrasSigmas(max: number, min: number, n: number): number[] {
  const [from, to] = [max ** (1 / RHO), min ** (1 / RHO)];
  return linspace(0, 1, n).map((ramp) => (from + ramp * (to - from)) ** RHO);
}

/** The fractional timestep at which the table would hold this σ, by linear interpolation of ln σ. */
export function timestepOfSigma(table: Float32Array, sigma: number): number {
  const logs = table.map(log);
  const wanted = log(Math.max(sigma, 1e-10));
  const above = logs.findIndex((l) => l > wanted);
  const low = Math.min(Math.max((above < 0 ? logs.length : above) - 1, 0), logs.length - 2);
  const [a, b] = [logs[low]!, logs[low + 1]!];
  const w = Math.min(Math.max((a - wanted) / fround(a - b), 0), 1);
  return (1 - w) * low + w * (low + 1);
}

/** α, σ and λ = ln α − ln σ of a variance-preserving sample whose noise level in units of the signal is `sigma`. */
export interface Level {
  readonly alpha: number;
  readonly sigma: number;
  readonly lambda: number;
}

export function levelOf(sigma: number): Level {
  const alpha = fround(1 / fround(sqrt(fround(fround(sigma * sigma) + 1))));
  const scaled = fround(sigma * alpha);
  return { alpha, sigma: scaled, lambda: fround(fround(log(alpha)) - fround(log(scaled))) };
}
