/**
 * LCMScheduler: multistep latent-consistency sampling (arXiv 2310.04378).
 *
 * d = c_out·x₀ + c_skip·x_t, with c_skip = σ²/((s·t)² + σ²), c_out = s·t/√((s·t)² + σ²), σ = 0.5, s = 10; then
 * x = √ᾱ_p·d + √(1 − ᾱ_p)·noise at the next timestep p, and d itself at the last. The timesteps are drawn evenly from
 * the grid of `originalInferenceSteps` points the model was distilled on.
 */
import { ConfigReader, type SchedulerConfig } from "./config.js";
import { alphasCumprod, fromPrediction, signalAndNoise } from "./noise-schedule.js";
import { combine, makePlan, type Scheduler, type StepPlan } from "./plan.js";
import { checkSteps, stepsOfStrength, timestepAt } from "./timesteps.js";

const SIGMA_DATA = 0.5;

export interface LCMOptions {
  /** Points of the training grid; by default the config's `original_inference_steps`, or 50. */
  readonly originalInferenceSteps?: number;
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

/** The LCM timesteps, descending: every k-th of the training ones, thinned evenly to `steps`. */
export function lcmTimesteps(steps: number, originalSteps: number, trainTimesteps: number, name = "LCM"): number[] {
  checkSteps(steps, trainTimesteps);
  if (!Number.isSafeInteger(originalSteps) || originalSteps < 1 || originalSteps > trainTimesteps) {
    throw new Error(
      `original steps must be a whole number from 1 to the model's ${trainTimesteps} timesteps, got ${originalSteps}.`,
    );
  }
  if (steps > originalSteps) {
    throw new Error(
      `steps ${steps} is above ${name}'s training grid of ${originalSteps}; use --original-steps ${steps} or more, or fewer steps.`,
    );
  }
  const k = Math.floor(trainTimesteps / originalSteps);
  return Array.from({ length: steps }, (_, i) => k * (originalSteps - Math.floor(i * (originalSteps / steps))) - 1);
}

export class LCMScheduler implements Scheduler {
  readonly name = "LCMScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history = [];
  readonly #bar: Float32Array;
  readonly #predictionType;
  readonly #scaling: number;

  /**
   * @param config scheduler_config.json; `beta_schedule` is "scaled_linear" if it says nothing. AnimateLCM wants "linear".
   * @throws when steps exceed the training grid, or the config asks for something unsupported.
   */
  constructor(config: SchedulerConfig, steps: number, options: LCMOptions = {}) {
    const read = new ConfigReader(config, this.name, ["clip_sample", "thresholding"]);
    const common = read.common({
      betaStart: 0.00085,
      betaEnd: 0.012,
      betaSchedule: "scaled_linear",
      spacing: "leading",
    });
    const original = options.originalInferenceSteps ?? read.number("original_inference_steps", 50, 1);
    const all = lcmTimesteps(steps, original, common.trainTimesteps);
    this.timesteps = all.slice(steps - stepsOfStrength(steps, options.strength ?? 1));
    this.#scaling = read.number("timestep_scaling", 10);
    this.#predictionType = common.predictionType;
    this.#bar = alphasCumprod(common);
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    const t = timestepAt(this, i);
    const { alpha, sigma } = signalAndNoise(this.#bar[t]!);
    const scaled = t * this.#scaling;
    const skip = SIGMA_DATA ** 2 / (scaled ** 2 + SIGMA_DATA ** 2);
    const out = scaled / Math.sqrt(scaled ** 2 + SIGMA_DATA ** 2);
    const { x0 } = fromPrediction(this.#predictionType, alpha, sigma);
    const denoise = { to: "x0", from: combine([x0, out], [[["sample", 1]], skip]) } as const;
    const next = this.timesteps[i + 1];
    if (next === undefined) return makePlan([denoise, { to: "sample", from: [["x0", 1]] }]);
    const after = signalAndNoise(this.#bar[next]!);
    const from = [
      ["x0", after.alpha],
      ["noise", after.sigma],
    ] as const;
    return makePlan([denoise, { to: "sample", from }]);
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = signalAndNoise(this.#bar[this.timesteps[0]!]!);
    return { original: alpha, noise: sigma };
  }
}
