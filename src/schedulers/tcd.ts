/**
 * TCDScheduler: trajectory consistency (arXiv 2402.19159). From t straight to s = ⌊(1 − eta)·t'⌋ below the next timestep
 * t': x_s = √ᾱ_s·x₀ + √(1 − ᾱ_s)·ε, then noise up to t': x = √(ᾱ'/ᾱ_s)·x_s + √(1 − ᾱ'/ᾱ_s)·noise. eta (the paper's
 * gamma) is 0.3 by default; 0 draws no noise. The timesteps are LCM's.
 */
import { ConfigReader, type SchedulerConfig } from "./config.js";
import { lcmTimesteps } from "./lcm.js";
import { alphasCumprod, fromPrediction, signalAndNoise } from "./noise-schedule.js";
import { combine, makePlan, type Scheduler, type StepPlan } from "./plan.js";
import { stepsOfStrength, timestepAt } from "./timesteps.js";

const { floor, fround, sqrt } = Math;

export interface TCDOptions {
  /** From 0 (no noise) to 1; 0.3 by default. */
  readonly eta?: number;
  /**
   * Where given, timesteps are spread evenly over all training timesteps instead of the config's grid of
   * `original_inference_steps`; the number only limits the steps, as in diffusers.
   */
  readonly originalInferenceSteps?: number;
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

export class TCDScheduler implements Scheduler {
  readonly name = "TCDScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history = [];
  readonly #bar: Float32Array;
  readonly #predictionType;
  readonly #eta: number;

  constructor(config: SchedulerConfig, steps: number, options: TCDOptions = {}) {
    const read = new ConfigReader(config, this.name, []);
    const common = read.common({
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: "scaled_linear",
      spacing: "leading",
    });
    this.#eta = options.eta ?? 0.3;
    if (!(this.#eta >= 0 && this.#eta <= 1)) throw new Error(`eta ${this.#eta} is not in [0, 1]; 0 adds no noise.`);
    const limit = options.originalInferenceSteps;
    const grid = limit ?? read.number("original_inference_steps", 50, 1);
    let all = lcmTimesteps(steps, grid, common.trainTimesteps, "TCD");
    if (limit !== undefined) all = lcmTimesteps(steps, common.trainTimesteps, common.trainTimesteps, "TCD");
    this.timesteps = all.slice(steps - stepsOfStrength(steps, options.strength ?? 1));
    this.#predictionType = common.predictionType;
    this.#bar = alphasCumprod(common);
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    const t = timestepAt(this, i);
    const next = this.timesteps[i + 1] ?? 0;
    const below = this.#bar[floor(fround(fround(1 - this.#eta) * next))]!;
    const { alpha, sigma } = signalAndNoise(this.#bar[t]!);
    const { x0, eps } = fromPrediction(this.#predictionType, alpha, sigma);
    const there = signalAndNoise(below);
    const jump = combine([[["x0", 1]], there.alpha], [eps, there.sigma]);
    if (this.#eta === 0 || i === this.timesteps.length - 1) {
      return makePlan([
        { to: "x0", from: x0 },
        { to: "sample", from: jump },
      ]);
    }
    const kept = fround(this.#bar[next]! / below);
    const from = combine([jump, sqrt(kept)], [[["noise", 1]], sqrt(1 - kept)]);
    return makePlan([
      { to: "x0", from: x0 },
      { to: "sample", from },
    ]);
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = signalAndNoise(this.#bar[this.timesteps[0]!]!);
    return { original: alpha, noise: sigma };
  }
}
