/**
 * DDIMScheduler (arXiv 2010.02502, formula 12):
 * x' = √ᾱ'·x₀ + √(1 − ᾱ' − s²)·ε + s·noise, with s = eta·√((1 − ᾱ')/(1 − ᾱ)·(1 − ᾱ/ᾱ')); eta 0 draws no noise.
 * The timestep after t is t − T/steps whatever the spacing, as in diffusers.
 */
import { ConfigReader, type SchedulerConfig } from "./config.js";
import { alphasCumprod, fromPrediction, signalAndNoise } from "./noise-schedule.js";
import { combine, makePlan, type Scheduler, type StepPlan } from "./plan.js";
import { checkSteps, roundHalfEven, spacedTimesteps, stepsOfStrength, timestepAt } from "./timesteps.js";

const { fround, sqrt } = Math;

export interface DDIMOptions {
  /** 0 (the default) is deterministic, 1 is DDPM's noise. */
  readonly eta?: number;
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

export class DDIMScheduler implements Scheduler {
  readonly name = "DDIMScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history = [];
  readonly #bar: Float32Array;
  readonly #finalBar: number;
  readonly #predictionType;
  readonly #stride: number;
  readonly #eta: number;

  /**
   * @param config scheduler_config.json. A missing `clip_sample` counts as false (diffusers' class says true, which
   *   suits pixels, not latents).
   * @throws when the config asks for something unsupported, or eta is not in [0, 1].
   */
  constructor(config: SchedulerConfig, steps: number, options: DDIMOptions = {}) {
    const read = new ConfigReader(config, this.name, ["clip_sample", "thresholding"]);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "leading" });
    checkSteps(steps, common.trainTimesteps);
    this.#eta = options.eta ?? 0;
    if (!(this.#eta >= 0 && this.#eta <= 1)) throw new Error(`eta ${this.#eta} is not in [0, 1]; 0 adds no noise.`);
    const all = spacedTimesteps(common.spacing, common.trainTimesteps, steps, common.stepsOffset).map(roundHalfEven);
    if (all[0]! >= common.trainTimesteps) {
      throw read.error(
        "steps_offset",
        `puts the first timestep at ${all[0]!}, beyond ${common.trainTimesteps - 1}; use fewer steps`,
      );
    }
    this.timesteps = all.slice(steps - stepsOfStrength(steps, options.strength ?? 1));
    this.#stride = Math.floor(common.trainTimesteps / steps);
    this.#predictionType = common.predictionType;
    this.#bar = alphasCumprod(common);
    this.#finalBar = read.boolean("set_alpha_to_one", true) ? 1 : this.#bar[0]!;
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    const t = timestepAt(this, i);
    const bar = this.#bar[t]!;
    const next = this.#bar[t - this.#stride] ?? this.#finalBar;
    const variance = fround(fround(fround(1 - next) / fround(1 - bar)) * fround(1 - fround(bar / next)));
    const deviation = fround(this.#eta * fround(sqrt(variance)));
    const direction = sqrt(fround(fround(1 - next) - fround(deviation * deviation)));
    const { alpha, sigma } = signalAndNoise(bar);
    const { x0, eps } = fromPrediction(this.#predictionType, alpha, sigma);
    return makePlan([
      { to: "x0", from: x0 },
      {
        to: "sample",
        from: combine([[["x0", 1]], sqrt(next)], [eps, direction], [[["noise", 1]], deviation]),
      },
    ]);
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = signalAndNoise(this.#bar[this.timesteps[0]!]!);
    return { original: alpha, noise: sigma };
  }
}
