/**
 * Samplers over dx/dσ = (x − x₀)/σ, with x = x₀ + σ·ε (arXiv 2206.00364): Euler's step, Euler with ancestral noise
 * (k-diffusion), and Heun's, which evaluates twice a step. The network sees x/√(σ² + 1).
 */
import { type CommonConfig, ConfigReader, type SchedulerConfig, SIGMA_VARIANTS } from "./config.js";
import { alphasCumprodForSigmas, sigmasOf } from "./noise-schedule.js";
import {
  type Assignment,
  combine,
  type HistorySlot,
  makePlan,
  type Scheduler,
  type StepPlan,
  type Terms,
} from "./plan.js";
import { karrasSigmas, sigmaAt, timestepOfSigma } from "./sigmas.js";
import { checkSteps, spacedTimesteps, stepsOfStrength, timestepAt } from "./timesteps.js";

const { fround, sqrt } = Math;

export interface SigmaOptions {
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

/** What the three share: timesteps and noise levels, one level more than steps. */
abstract class SigmaScheduler implements Scheduler {
  abstract readonly name: string;
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  abstract readonly history: readonly HistorySlot[];
  readonly #predictionType: CommonConfig["predictionType"];
  /** σ of each evaluation, and last the σ the run ends at. */
  protected readonly sigmas: readonly number[];

  protected constructor(
    common: CommonConfig,
    steps: number,
    options: SigmaOptions,
    { karras, finalSigma, evaluations }: { karras: boolean; finalSigma: "zero" | "sigma_min"; evaluations: 1 | 2 },
  ) {
    checkSteps(steps, common.trainTimesteps);
    const table = sigmasOf(alphasCumprodForSigmas(common));
    let timesteps = spacedTimesteps(common.spacing, common.trainTimesteps, steps, common.stepsOffset).map(fround);
    let sigmas = timesteps.map((t) => sigmaAt(table, t));
    if (karras) {
      sigmas = karrasSigmas(sigmas[0]!, sigmas.at(-1)!, steps);
      timesteps = sigmas.map((sigma) => fround(timestepOfSigma(table, sigma)));
    }
    const levels = sigmas.map(fround);
    const max = Math.max(...levels);
    this.initNoiseSigma = common.spacing === "leading" ? fround(sqrt(fround(fround(max * max) + 1))) : max;
    const skipped = steps - stepsOfStrength(steps, options.strength ?? 1);
    // With two evaluations a step, the second is at the level the step goes to.
    const repeated = <T>(list: readonly T[]): T[] =>
      list.slice(skipped).flatMap((x, i) => (i > 0 && evaluations === 2 ? [x, x] : [x]));
    this.timesteps = repeated(timesteps);
    this.sigmas = [...repeated(levels), finalSigma === "zero" ? 0 : table[0]!];
    this.#predictionType = common.predictionType;
  }

  inputScale(i: number): number {
    timestepAt(this, i);
    return 1 / sqrt(this.sigmas[i]! ** 2 + 1);
  }

  abstract plan(i: number): StepPlan;

  addNoise(): { readonly original: number; readonly noise: number } {
    return { original: 1, noise: this.sigmas[0]! };
  }

  /** x0 := the clean estimate at noise level σ. */
  protected estimate(sigma: number): Assignment {
    const sample: Terms = [["sample", 1]];
    const output: Terms = [["output", 1]];
    const scale = sigma * sigma + 1;
    switch (this.#predictionType) {
      case "epsilon":
        return { to: "x0", from: combine([sample, 1], [output, -sigma]) };
      case "sample":
        return { to: "x0", from: output };
      case "v_prediction":
        return { to: "x0", from: combine([output, -sigma / sqrt(scale)], [sample, 1 / scale]) };
    }
  }
}

/** x + (x − x₀)/σ·(σ' − σ), as a blend of x and x₀. */
const eulerStep = (sigma: number, next: number): Terms =>
  combine([[["sample", 1]], next / sigma], [[["x0", 1]], 1 - next / sigma]);

/** EulerDiscreteScheduler, without churn. */
export class EulerDiscreteScheduler extends SigmaScheduler {
  readonly name = "EulerDiscreteScheduler";
  readonly history = [];

  constructor(config: SchedulerConfig, steps: number, options: SigmaOptions = {}) {
    const read = new ConfigReader(config, "EulerDiscreteScheduler", [
      ...SIGMA_VARIANTS,
      "timestep_type",
      "interpolation_type",
      "sigma_min",
      "sigma_max",
    ]);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "linspace" });
    super(common, steps, options, {
      karras: read.boolean("use_karras_sigmas", false),
      finalSigma: read.choice("final_sigmas_type", ["zero", "sigma_min"], "zero"),
      evaluations: 1,
    });
  }

  plan(i: number): StepPlan {
    timestepAt(this, i);
    const [sigma, next] = [this.sigmas[i]!, this.sigmas[i + 1]!];
    return makePlan([this.estimate(sigma), { to: "sample", from: eulerStep(sigma, next) }]);
  }
}

/**
 * EulerAncestralDiscreteScheduler: steps down to σ_down and adds noise of σ_up, σ_down² + σ_up² = σ'². Draws in every
 * step, also in the last, where the noise has no weight.
 */
export class EulerAncestralDiscreteScheduler extends SigmaScheduler {
  readonly name = "EulerAncestralDiscreteScheduler";
  readonly history = [];

  constructor(config: SchedulerConfig, steps: number, options: SigmaOptions = {}) {
    const read = new ConfigReader(config, "EulerAncestralDiscreteScheduler", []);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "linspace" }, [
      "epsilon",
      "v_prediction",
    ]);
    super(common, steps, options, { karras: false, finalSigma: "zero", evaluations: 1 });
  }

  plan(i: number): StepPlan {
    timestepAt(this, i);
    const [sigma, next] = [this.sigmas[i]!, this.sigmas[i + 1]!];
    const up = sqrt((next ** 2 * (sigma ** 2 - next ** 2)) / sigma ** 2);
    const down = sqrt(Math.max(next ** 2 - up ** 2, 0));
    const from = combine([eulerStep(sigma, down), 1], [[["noise", 1]], up]);
    return makePlan([this.estimate(sigma), { to: "sample", from }], true);
  }
}

/**
 * HeunDiscreteScheduler: an Euler step, a second evaluation where it led, and the step again with the mean of both
 * slopes: 2n − 1 evaluations. `m1` holds the first slope, `m2` the sample it began at.
 */
export class HeunDiscreteScheduler extends SigmaScheduler {
  readonly name = "HeunDiscreteScheduler";
  readonly history = ["m1", "m2"] as const;

  constructor(config: SchedulerConfig, steps: number, options: SigmaOptions = {}) {
    const read = new ConfigReader(config, "HeunDiscreteScheduler", [...SIGMA_VARIANTS, "clip_sample"]);
    const common = read.common({ betaStart: 0.00085, betaEnd: 0.012, betaSchedule: "linear", spacing: "linspace" });
    const karras = read.boolean("use_karras_sigmas", false);
    super(common, steps, options, { karras, finalSigma: "zero", evaluations: 2 });
  }

  plan(i: number): StepPlan {
    timestepAt(this, i);
    const sigma = this.sigmas[i]!;
    const estimate = this.estimate(sigma);
    const slope = combine([[["sample", 1]], 1 / sigma], [[["x0", 1]], -1 / sigma]);
    if (i % 2 === 0) {
      const step: Assignment = { to: "sample", from: eulerStep(sigma, this.sigmas[i + 1]!) };
      if (i === this.timesteps.length - 1) return makePlan([estimate, step]);
      return makePlan([estimate, { to: "m1", from: slope }, { to: "m2", from: [["sample", 1]] }, step]);
    }
    const half = (sigma - this.sigmas[i - 1]!) / 2;
    return makePlan([estimate, { to: "sample", from: combine([[["m2", 1]], 1], [[["m1", 1]], half], [slope, half]) }]);
  }
}
