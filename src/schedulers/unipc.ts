/**
 * UniPCMultistepScheduler (arXiv 2302.04867): a predictor of order p over the newest p predictions, and, once the
 * network has been evaluated at the new timestep, a corrector that redoes the step with that value. B(h) is h ("bh1")
 * or e^h − 1 ("bh2").
 *
 * `m1` … `m3` hold the older predictions, newest first, and the slot after them the sample the last step began at.
 */
import { type CommonConfig, ConfigReader, type SchedulerConfig, SIGMA_VARIANTS } from "./config.js";
import { solverSchedule } from "./dpm-solver.js";
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
import { karrasSigmas, type Level, levelOf, timestepOfSigma } from "./sigmas.js";
import { checkSteps, roundHalfEven, stepsOfStrength, timestepAt } from "./timesteps.js";

const { expm1, fround } = Math;
const MAX_ORDER = 3;
const SLOTS = ["m1", "m2", "m3", "m4"] as const;

export interface UniPCOptions {
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents. */
  readonly strength?: number;
}

export class UniPCMultistepScheduler implements Scheduler {
  readonly name = "UniPCMultistepScheduler";
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  readonly history: readonly HistorySlot[];
  readonly #levels: readonly Level[];
  readonly #predictionType: CommonConfig["predictionType"];
  readonly #order: number;
  readonly #bh1: boolean;
  readonly #overX0: boolean;
  readonly #lowerOrderFinal: boolean;
  readonly #uncorrected: ReadonlySet<number>;

  constructor(config: SchedulerConfig, steps: number, options: UniPCOptions = {}) {
    const read = new ConfigReader(config, this.name, [
      ...SIGMA_VARIANTS,
      "thresholding",
      "use_flow_sigmas",
      "sigma_min",
      "sigma_max",
      "solver_p",
    ]);
    const common = read.common({ betaStart: 0.0001, betaEnd: 0.02, betaSchedule: "linear", spacing: "linspace" });
    checkSteps(steps, common.trainTimesteps);
    this.#predictionType = common.predictionType;
    this.#order = read.number("solver_order", 2, 1);
    if (this.#order > MAX_ORDER) throw read.error("solver_order", `is not supported; use 1 to ${MAX_ORDER}`);
    // diffusers takes the names of other solvers' types for bh2.
    this.#bh1 = read.choice("solver_type", ["bh1", "bh2", "midpoint", "heun", "logrho"], "bh2") === "bh1";
    this.#overX0 = read.boolean("predict_x0", true);
    this.#lowerOrderFinal = read.boolean("lower_order_final", true);
    const skipped = steps - stepsOfStrength(steps, options.strength ?? 1);
    this.#uncorrected = new Set((read.numbers("disable_corrector") ?? []).map((i) => i - skipped));

    const table = sigmasOf(alphasCumprodForSigmas(common));
    let { timesteps, sigmas } = solverSchedule(common, steps, table, common.trainTimesteps);
    const karras = read.boolean("use_karras_sigmas", false);
    if (karras) {
      sigmas = karrasSigmas(table.at(-1)!, table[0]!, steps);
      timesteps = sigmas.map((sigma) => roundHalfEven(timestepOfSigma(table, sigma)));
    }
    const least = karras ? sigmas.at(-1)! : table[0]!;
    const final = read.choice("final_sigmas_type", ["zero", "sigma_min"], "zero") === "zero" ? 0 : least;
    this.timesteps = timesteps.slice(skipped);
    this.#levels = [...sigmas, final].slice(skipped).map((sigma) => levelOf(fround(sigma)));
    this.history = SLOTS.slice(0, this.#order + 1);
  }

  inputScale(): number {
    return 1;
  }

  plan(i: number): StepPlan {
    timestepAt(this, i);
    const { alpha, sigma } = this.#levels[i]!;
    const { x0, eps } = fromPrediction(this.#predictionType, alpha, sigma);
    const assignments: Assignment[] = [{ to: "x0", from: x0 }];
    const newest: Slot = this.#overX0 ? "x0" : "output";
    if (!this.#overX0 && this.#predictionType !== "epsilon") assignments.push({ to: "output", from: eps });

    const start = SLOTS[this.#order]!;
    if (i > 0 && !this.#uncorrected.has(i - 1)) {
      // The last step again, from where it began, now with the prediction at its end.
      const order = this.#orderOf(i - 1);
      assignments.push({ to: "sample", from: this.#update(i - 1, order, start, SLOTS.slice(0, order), newest) });
    }
    const last = i === this.timesteps.length - 1;
    if (!last) assignments.push({ to: start, from: [["sample", 1]] });
    const order = this.#orderOf(i);
    assignments.push({ to: "sample", from: this.#update(i, order, "sample", [newest, ...SLOTS.slice(0, order - 1)]) });
    if (!last) {
      for (let k = Math.min(this.#order - 1, i); k > 0; k--)
        assignments.push({ to: SLOTS[k]!, from: [[SLOTS[k - 1]!, 1]] });
      assignments.push({ to: "m1", from: [[newest, 1]] });
    }
    return makePlan(assignments);
  }

  addNoise(): { readonly original: number; readonly noise: number } {
    const { alpha, sigma } = this.#levels[0]!;
    return { original: alpha, noise: sigma };
  }

  #orderOf(i: number): number {
    const order = this.#lowerOrderFinal ? Math.min(this.#order, this.timesteps.length - i) : this.#order;
    return Math.min(order, i + 1);
  }

  /**
   * x at level i + 1.
   * @param x the sample at level i
   * @param predictions those at levels i, i − 1, …; as many as the order
   * @param reached the prediction at level i + 1, for the corrector
   */
  #update(i: number, order: number, x: Slot, predictions: readonly Slot[], reached?: Slot): Terms {
    const [s, t] = [this.#levels[i]!, this.#levels[i + 1]!];
    const h = fround(t.lambda - s.lambda);
    const hh = this.#overX0 ? -h : h;
    const phi1 = fround(expm1(hh));
    const b = this.#bh1 ? hh : phi1;
    const scale = this.#overX0 ? t.alpha : t.sigma;
    const ratio = this.#overX0 ? t.sigma / s.sigma : t.alpha / s.alpha;
    const newest: Terms = [[predictions[0]!, 1]];
    // Differences to the newest prediction, by their distance in λ relative to the step.
    const distances = predictions
      .slice(1)
      .map((_, k) => fround(fround(this.#levels[i - 1 - k]!.lambda - s.lambda) / h));
    const differences = predictions
      .slice(1)
      .map((slot, k) => combine([[[slot, 1]], 1 / distances[k]!], [newest, -1 / distances[k]!]));
    if (reached !== undefined) {
      distances.push(1);
      differences.push(combine([[[reached, 1]], 1], [newest, -1]));
    }
    const simple = reached === undefined ? order === 2 : order === 1;
    const weights = simple ? [0.5] : uniWeights(distances, hh, phi1, b);
    return combine(
      [[[x, 1]], ratio],
      [newest, -scale * phi1],
      ...differences.map((d, k) => [d, -scale * b * weights[k]!] as const),
    );
  }
}

/** ρ with Σ_k ρ_k·r_k^(n−1) = n!·h·φ_{n+1}(h)/B(h) for n = 1 … : the differences then fit the integral of that order. */
function uniWeights(r: readonly number[], hh: number, phi1: number, b: number): number[] {
  const size = r.length;
  let phi = fround(fround(phi1 / hh) - 1);
  let factorial = 1;
  const rows: number[][] = [];
  for (let n = 1; n <= size; n++) {
    rows.push([...r.map((distance) => fround(distance ** (n - 1))), fround(fround(phi * factorial) / b)]);
    factorial *= n + 1;
    phi = fround(fround(phi / hh) - fround(1 / factorial));
  }
  return solve(rows);
}

/** The solution of a small linear system, each row with its right-hand side at the end; by elimination with pivots. */
function solve(rows: number[][]): number[] {
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let r = column + 1; r < n; r++) if (Math.abs(rows[r]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = r;
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    const top = rows[column]!;
    for (let r = 0; r < n; r++) {
      if (r === column) continue;
      const factor = rows[r]![column]! / top[column]!;
      rows[r] = rows[r]!.map((v, c) => v - factor * top[c]!);
    }
  }
  return rows.map((row, r) => row[n]! / row[r]!);
}
