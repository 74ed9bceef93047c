/**
 * DPMSolverMultistepScheduler: DPM-Solver (arXiv 2206.00927, over ε) and DPM-Solver++ (arXiv 2211.01095, over x₀) in
 * multistep form of order 1 to 3, and their stochastic versions. With λ = ln(α/σ), h = λ' − λ and, for ++,
 * x' = σ'/σ·x − α'(e^{−h} − 1)·D₀ + …, where D₀ is the newest prediction and D₁, D₂ are differences to older ones.
 */
import { type CommonConfig, ConfigReader, type SchedulerConfig, SIGMA_VARIANTS } from "./config.js";
import { alphasCumprodForSigmas, fromPrediction, sigmasOf } from "./noise-schedule.js";
import {
  type Assignment,
  combine,
  type HistorySlot,
  makePlan,
  type Scheduler,
  type Slot,
  type StepPlan,
  type Terms,
} from "./plan.js";
import { karrasSigmas, type Level, levelOf, sigmaAt, timestepOfSigma } from "./sigmas.js";
import {
  checkSteps,
  linspace,
  roundHalfEven,
  spacedTimesteps,
  stepsOfStrength,
  timestepAt,
  trailing,
} from "./timesteps.js";

const { exp, fround, sqrt } = Math;
const ALGORITHMS = ["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"] as const;
/** From this many steps on, the last ones keep their order. */
const MANY_STEPS = 15;

export type DPMSolverAlgorithm = (typeof ALGORITHMS)[number];

export interface DPMSolverOptions {
  /** Overrides the config's `algorithm_type`. */
  readonly algorithm?: DPMSolverAlgorithm;
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

/** Timesteps and σ (one more) of a run, for samplers that begin at the noisiest timestep and stop before the last. */
export function solverSchedule(
  common: CommonConfig,
  steps: number,
  table: Float32Array,
  lastTimestep: number,
): { readonly timesteps: readonly number[]; readonly sigmas: readonly number[] } {
  const { spacing, trainTimesteps, stepsOffset } = common;
  // One more than asked for, of which the end is left out; "trailing" has none too many.
  const timesteps =
    spacing === "linspace"
      ? linspace(0, lastTimestep - 1, steps + 1)
          .map(roundHalfEven)
          .toReversed()
          .slice(0, steps)
      : spacing === "leading"
        ? spacedTimesteps(spacing, lastTimestep, steps + 1, stepsOffset).slice(0, steps)
        : trailing(lastTimestep, trainTimesteps / steps);
  return { timesteps, sigmas: timesteps.map((t) => sigmaAt(table, t)) };
}

export class DPMSolverMultistepScheduler implements Scheduler {
  readonly name = "DPMSolverMultistepScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history: readonly HistorySlot[];
  readonly #levels: readonly Level[];
  readonly #predictionType: CommonConfig["predictionType"];
  readonly #algorithm: DPMSolverAlgorithm;
  readonly #solverType: "midpoint" | "heun";
  readonly #order: number;
  /** The last step is of order 1, the one before it of order 2 at most. */
  readonly #lowerLast: boolean;
  readonly #lowerSecondLast: boolean;

  constructor(config: SchedulerConfig, steps: number, options: DPMSolverOptions = {}) {
    const read = new ConfigReader(config, this.name, [
      ...SIGMA_VARIANTS,
      "thresholding",
      "use_lu_lambdas",
      "use_flow_sigmas",
      "variance_type",
    ]);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "linspace" });
    checkSteps(steps, common.trainTimesteps);
    this.#predictionType = common.predictionType;
    this.#algorithm = options.algorithm ?? read.choice("algorithm_type", ALGORITHMS, "dpmsolver++");
    // diffusers takes the names of other solvers' types for midpoint.
    const type = read.choice("solver_type", ["midpoint", "heun", "logrho", "bh1", "bh2"], "midpoint");
    this.#solverType = type === "heun" ? "heun" : "midpoint";
    this.#order = read.number("solver_order", 2, 1);
    if (this.#order > 3 || (this.#order === 3 && this.#algorithm === "sde-dpmsolver")) {
      throw read.error("solver_order", `is not supported with ${this.#algorithm}; use 2`);
    }
    let final = read.choice("final_sigmas_type", ["zero", "sigma_min"], "zero");
    if (!this.#algorithm.endsWith("++")) {
      // λ is infinite at σ = 0, and the integral over ε with it.
      if (options.algorithm === undefined && final === "zero") {
        throw read.error(
          "final_sigmas_type",
          `is not possible with algorithm_type ${this.#algorithm}; set it to "sigma_min"`,
        );
      }
      final = "sigma_min";
    }
    const few = read.boolean("lower_order_final", true) && steps < MANY_STEPS;
    this.#lowerLast = read.boolean("euler_at_final", false) || few || final === "zero";
    this.#lowerSecondLast = few;

    const table = sigmasOf(alphasCumprodForSigmas(common));
    const clip = read.numberOrInfinity("lambda_min_clipped", -Infinity);
    const clipped = table.filter((sigma) => levelOf(sigma).lambda < clip).length;
    let { timesteps, sigmas } = solverSchedule(common, steps, table, common.trainTimesteps - clipped);
    if (read.boolean("use_karras_sigmas", false)) {
      sigmas = karrasSigmas(table.at(-1)!, table[0]!, steps);
      const whole = common.betaSchedule === "squaredcos_cap_v2" ? Math.trunc : roundHalfEven;
      timesteps = sigmas.map((sigma) => whole(timestepOfSigma(table, sigma)));
    }
    const skipped = steps - stepsOfStrength(steps, options.strength ?? 1);
    this.timesteps = timesteps.slice(skipped);
    this.#levels = [...sigmas, final === "zero" ? 0 : table[0]!].slice(skipped).map((sigma) => levelOf(fround(sigma)));
    this.history = (["m1", "m2"] as const).slice(0, this.#order - 1);
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    timestepAt(this, i);
    const last = this.timesteps.length - 1;
    const { alpha, sigma } = this.#levels[i]!;
    const { x0, eps } = fromPrediction(this.#predictionType, alpha, sigma);
    const assignments: Assignment[] = [{ to: "x0", from: x0 }];
    const overX0 = this.#algorithm.endsWith("++");
    const newest: Slot = overX0 ? "x0" : "output";
    if (!overX0 && this.#predictionType !== "epsilon") assignments.push({ to: "output", from: eps });

    let order = Math.min(this.#order, i + 1);
    if (i === last && this.#lowerLast) order = 1;
    if (i === last - 1 && this.#lowerSecondLast) order = Math.min(order, 2);
    assignments.push({ to: "sample", from: this.#step(i, newest, order) });
    if (i < last && this.#order > 1) {
      if (this.#order > 2 && i > 0) assignments.push({ to: "m2", from: [["m1", 1]] });
      assignments.push({ to: "m1", from: [[newest, 1]] });
    }
    return makePlan(assignments, this.#algorithm.startsWith("sde"));
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = this.#levels[0]!;
    return { original: alpha, noise: sigma };
  }

  /** x at the next level, out of x, the newest prediction and the older ones in m1 and m2. */
  #step(i: number, newest: Slot, order: number): Terms {
    const [s, t] = [this.#levels[i]!, this.#levels[i + 1]!];
    const h = fround(t.lambda - s.lambda);
    const d0: Terms = [[newest, 1]];
    const { sample, noise, ...c } = this.#coefficients(s, t, h);
    const parts: [Terms, number][] = [
      [[["sample", 1]], sample],
      [d0, c.d0],
      [[["noise", 1]], noise],
    ];
    if (order === 1) return combine(...parts);
    const r0 = fround(fround(s.lambda - this.#levels[i - 1]!.lambda) / h);
    const d10 = combine([d0, 1 / r0], [[["m1", 1]], -1 / r0]);
    if (order === 2) return combine(...parts, [d10, this.#solverType === "heun" ? c.d1 : c.d0 / 2]);
    const r1 = fround(fround(this.#levels[i - 1]!.lambda - this.#levels[i - 2]!.lambda) / h);
    const d11: Terms = [
      ["m1", 1 / r1],
      ["m2", -1 / r1],
    ];
    const difference = combine([d10, 1], [d11, -1]);
    const d1 = combine([d10, 1], [difference, r0 / (r0 + r1)]);
    return combine(...parts, [d1, c.d1], [difference, c.d2 / (r0 + r1)]);
  }

  /** Weights of x, D₀, D₁ (as solver type "heun" and order 3 have it), D₂ and the noise. */
  #coefficients(s: Level, t: Level, h: number): Record<"sample" | "d0" | "d1" | "d2" | "noise", number> {
    switch (this.#algorithm) {
      case "dpmsolver++": {
        const e = fround(fround(exp(-h)) - 1);
        return {
          sample: t.sigma / s.sigma,
          d0: -t.alpha * e,
          d1: t.alpha * (fround(e / h) + 1),
          d2: -t.alpha * (fround(fround(e + h) / fround(h * h)) - 0.5),
          noise: 0,
        };
      }
      case "dpmsolver": {
        const e = fround(fround(exp(h)) - 1);
        return {
          sample: t.alpha / s.alpha,
          d0: -t.sigma * e,
          d1: -t.sigma * (fround(e / h) - 1),
          d2: -t.sigma * (fround(fround(e - h) / fround(h * h)) - 0.5),
          noise: 0,
        };
      }
      case "sde-dpmsolver++": {
        const e = fround(1 - fround(exp(-2 * h)));
        return {
          sample: (t.sigma / s.sigma) * exp(-h),
          d0: t.alpha * e,
          d1: t.alpha * (fround(e / (-2 * h)) + 1),
          d2: t.alpha * (fround(fround(e - 2 * h) / fround(4 * h * h)) - 0.5),
          noise: t.sigma * sqrt(e),
        };
      }
      case "sde-dpmsolver": {
        const e = fround(fround(exp(h)) - 1);
        return {
          sample: t.alpha / s.alpha,
          d0: -2 * t.sigma * e,
          d1: -2 * t.sigma * (fround(e / h) - 1),
          d2: 0,
          noise: t.sigma * sqrt(exp(2 * h) - 1),
        };
      }
    }
  }
}
