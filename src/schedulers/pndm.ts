/**
 * PNDMScheduler (arXiv 2202.09778): linear multistep over the last four outputs (PLMS), begun either by a redone first
 * step (`skip_prk_steps`, as Stable Diffusion's own config has it: n + 1 evaluations) or by three Runge–Kutta steps of
 * four evaluations (n + 9).
 *
 * `m1` … `m3` hold older outputs, newest first; `m4` the sample a step began at; `m5` the sum of a Runge–Kutta step.
 */
import { type CommonConfig, ConfigReader, type SchedulerConfig } from "./config.js";
import { alphasCumprod, fromPrediction, signalAndNoise } from "./noise-schedule.js";
import { type Assignment, combine, makePlan, type Scheduler, type Slot, type StepPlan, type Terms } from "./plan.js";
import { checkSteps, roundHalfEven, spacedTimesteps, stepsOfStrength, timestepAt } from "./timesteps.js";

const { fround, sqrt } = Math;
const OUTPUT: Terms = [["output", 1]];
const OUTPUTS = ["m1", "m2", "m3"] as const;
/** Weights of the newest output and the older ones, by how many older ones there are. */
const ADAMS_BASHFORTH = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const;
/** Evaluations of the three Runge–Kutta steps. */
const PRK = 12;

export interface PNDMOptions {
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

/** One transfer of formula 11: from `base` at t to t', by this estimate of the output. */
interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly base: Slot;
  readonly output: Terms;
}

export class PNDMScheduler implements Scheduler {
  readonly name = "PNDMScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history = ["m1", "m2", "m3", "m4", "m5"] as const;
  readonly #bar: Float32Array;
  readonly #finalBar: number;
  readonly #predictionType: CommonConfig["predictionType"];
  readonly #stride: number;
  readonly #skipPrk: boolean;

  constructor(config: SchedulerConfig, steps: number, options: PNDMOptions = {}) {
    const read = new ConfigReader(config, this.name, []);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "leading" }, [
      "epsilon",
      "v_prediction",
    ]);
    checkSteps(steps, common.trainTimesteps);
    this.#predictionType = common.predictionType;
    this.#skipPrk = read.boolean("skip_prk_steps", false);
    this.#stride = Math.floor(common.trainTimesteps / steps);
    this.#bar = alphasCumprod(common);
    this.#finalBar = read.boolean("set_alpha_to_one", false) ? 1 : this.#bar[0]!;
    const grid = spacedTimesteps(common.spacing, common.trainTimesteps, steps, common.stepsOffset)
      .map(roundHalfEven)
      .slice(steps - stepsOfStrength(steps, options.strength ?? 1));
    this.timesteps = this.#skipPrk ? [...grid.slice(0, 2), ...grid.slice(1)] : this.#prkTimesteps(grid);
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    const t = timestepAt(this, i);
    const prk = !this.#skipPrk && i < PRK;
    const transfer = prk ? this.#rungeKutta(i, t) : this.#multistep(i, t);
    const assignments: Assignment[] = [...this.#assign(transfer)];
    if (i === this.timesteps.length - 1) return makePlan(assignments);
    if (prk ? i % 4 === 0 : this.#skipPrk && i === 0) assignments.unshift({ to: "m4", from: [["sample", 1]] });
    if (prk && i % 4 < 3) {
      const sum: Terms = i % 4 === 0 ? [] : [["m5", 1]];
      assignments.push({ to: "m5", from: combine([sum, 1], [OUTPUT, i % 4 === 0 ? 1 / 6 : 1 / 3]) });
    }
    if (prk ? i % 4 === 0 : !(this.#skipPrk && i === 1)) {
      for (let k = Math.min(this.#stored(i), 2); k > 0; k--)
        assignments.push({ to: OUTPUTS[k]!, from: [[OUTPUTS[k - 1]!, 1]] });
      assignments.push({ to: "m1", from: OUTPUT });
    }
    return makePlan(assignments);
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = signalAndNoise(this.#barAt(this.timesteps[0]!));
    return { original: alpha, noise: sigma };
  }

  /** How many older outputs are held before evaluation i. */
  #stored(i: number): number {
    if (!this.#skipPrk) return Math.min(Math.ceil(i / 4), OUTPUTS.length);
    return Math.min(i < 2 ? i : i - 1, OUTPUTS.length);
  }

  /** PLMS: one step of Adams–Bashforth, of the order that the stored outputs allow. */
  #multistep(i: number, t: number): Transfer {
    const next = t - this.#stride;
    if (this.#skipPrk && i === 1) {
      // The first step again, with the mean of the outputs at both its ends.
      const output = combine([OUTPUT, 1 / 2], [[["m1", 1]], 1 / 2]);
      return { from: t + this.#stride, to: t, base: "m4", output };
    }
    const weights = ADAMS_BASHFORTH[this.#stored(i)]!;
    const output = combine(...weights.map((w, k) => [k === 0 ? OUTPUT : [[OUTPUTS[k - 1]!, 1] as const], w] as const));
    return { from: t, to: next, base: "sample", output };
  }

  /** Evaluation i of the Runge–Kutta start: at the step's beginning, twice in its middle, at its end. */
  #rungeKutta(i: number, t: number): Transfer {
    const phase = i % 4;
    const from = this.timesteps[i - phase]!;
    const to = phase % 2 === 0 ? t - Math.floor(this.#stride / 2) : t;
    const output = phase < 3 ? OUTPUT : combine([[["m5", 1]], 1], [OUTPUT, 1 / 6]);
    return { from, to, base: phase === 0 ? "sample" : "m4", output };
  }

  #assign({ from, to, base, output }: Transfer): readonly Assignment[] {
    const [a, b] = [this.#barAt(from), to >= 0 ? this.#barAt(to) : this.#finalBar];
    const { alpha, sigma } = signalAndNoise(a);
    const { x0, eps } = fromPrediction(this.#predictionType, alpha, sigma, [[base, 1]], output);
    const denominator = a * sqrt(fround(1 - b)) + sqrt(a * fround(1 - a) * b);
    return [
      { to: "x0", from: x0 },
      { to: "sample", from: combine([[[base, 1]], sqrt(b / a)], [eps, -fround(b - a) / denominator]) },
    ];
  }

  #barAt(t: number): number {
    const bar = this.#bar[t];
    if (bar === undefined) {
      throw new Error(
        `PNDMScheduler would visit timestep ${t} of ${this.#bar.length}; use another timestep_spacing or fewer steps.`,
      );
    }
    return bar;
  }

  /** Beginning, middle (twice) and end of each of the first three steps, then the rest of the grid. */
  #prkTimesteps(grid: readonly number[]): readonly number[] {
    if (grid.length < 4) {
      throw new Error(
        `PNDMScheduler without skip_prk_steps needs at least 4 steps, got ${grid.length}; set skip_prk_steps.`,
      );
    }
    const half = Math.floor(this.#stride / 2);
    const start = [0, 1, 2].flatMap((k) => [grid[k]!, grid[k + 1]! + half, grid[k + 1]! + half, grid[k + 1]!]);
    return [...start, ...grid.slice(3)];
  }
}
