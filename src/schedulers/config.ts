/**
 * A folder's scheduler_config.json, read and checked: diffusers' field names and each class's own defaults for what is
 * left out. An option that would change the pictures and is not implemented is an error, never ignored.
 */

export type BetaSchedule = "linear" | "scaled_linear" | "squaredcos_cap_v2";
export type PredictionType = "epsilon" | "v_prediction" | "sample";
export type TimestepSpacing = "linspace" | "leading" | "trailing";

/** scheduler_config.json as parsed; fields of other schedulers may be there and are not looked at. */
export interface SchedulerConfig {
  readonly _class_name?: string;
  readonly num_train_timesteps?: number;
  readonly beta_start?: number;
  readonly beta_end?: number;
  readonly beta_schedule?: BetaSchedule | (string & {});
  readonly trained_betas?: readonly number[] | null;
  readonly prediction_type?: PredictionType | (string & {});
  readonly rescale_betas_zero_snr?: boolean;
  readonly timestep_spacing?: TimestepSpacing | (string & {});
  readonly steps_offset?: number;
  readonly set_alpha_to_one?: boolean;
  readonly clip_sample?: boolean;
  readonly thresholding?: boolean;
  readonly original_inference_steps?: number;
  readonly timestep_scaling?: number;
  readonly skip_prk_steps?: boolean;
  readonly solver_order?: number;
  readonly algorithm_type?: string;
  readonly solver_type?: string;
  readonly lower_order_final?: boolean;
  readonly euler_at_final?: boolean;
  readonly final_sigmas_type?: string;
  readonly use_karras_sigmas?: boolean | null;
  readonly predict_x0?: boolean;
  readonly disable_corrector?: readonly number[];
  readonly lambda_min_clipped?: number;
  readonly [field: string]: unknown;
}

/** The fields every sampler here reads. */
export interface CommonConfig {
  readonly trainTimesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: BetaSchedule;
  readonly trainedBetas: readonly number[] | undefined;
  readonly predictionType: PredictionType;
  readonly rescaleBetasZeroSnr: boolean;
  readonly spacing: TimestepSpacing;
  readonly stepsOffset: number;
}

/** Defaults of a diffusers class for the fields that differ between classes. */
export interface ClassDefaults {
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly betaSchedule: BetaSchedule;
  readonly spacing: TimestepSpacing;
}

/**
 * Options that bend the result and are implemented nowhere here: each class refuses those that diffusers' class of the
 * same name knows, unless they hold an idle value (the first is what the error proposes; none: leave the field out).
 */
const IDLE = {
  clip_sample: [false],
  thresholding: [false],
  use_exponential_sigmas: [false],
  use_beta_sigmas: [false],
  use_lu_lambdas: [false],
  use_flow_sigmas: [false],
  timestep_type: ["discrete"],
  interpolation_type: ["linear"],
  sigma_min: [],
  sigma_max: [],
  variance_type: [],
  solver_p: [],
} satisfies Record<string, readonly unknown[]>;

export type RefusedField = keyof typeof IDLE;

/** The alternatives to evenly spaced timesteps that diffusers' sigma-based samplers share, and nobody here has. */
export const SIGMA_VARIANTS: readonly RefusedField[] = ["use_exponential_sigmas", "use_beta_sigmas"];

/** Reads one scheduler's fields out of a config; every error names the class, the field, and what is possible. */
export class ConfigReader {
  readonly #config: SchedulerConfig;
  readonly #class: string;

  /** @param refused the fields that must be idle */
  constructor(config: SchedulerConfig, className: string, refused: readonly RefusedField[]) {
    this.#config = config;
    this.#class = className;
    for (const field of refused) {
      const idle: readonly unknown[] = IDLE[field];
      const value = config[field];
      if (value !== undefined && value !== null && !idle.includes(value)) {
        throw this.error(field, `is not supported; ${idle.length > 0 ? `set it to ${show(idle[0])}` : "leave it out"}`);
      }
    }
  }

  /** A finite number, an integer at least `least` where that is given. */
  number(field: string, byDefault: number, least?: number): number {
    const value = this.#config[field] ?? byDefault;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.error(field, "must be a number");
    if (least !== undefined && (!Number.isInteger(value) || value < least)) {
      throw this.error(field, `must be a whole number of at least ${least}`);
    }
    return value;
  }

  /** A number that may be infinite. */
  numberOrInfinity(field: string, byDefault: number): number {
    const value = this.#config[field] ?? byDefault;
    if (typeof value !== "number" || Number.isNaN(value)) throw this.error(field, "must be a number");
    return value;
  }

  boolean(field: string, byDefault: boolean): boolean {
    const value = this.#config[field] ?? byDefault;
    if (typeof value !== "boolean") throw this.error(field, "must be true or false");
    return value;
  }

  /** One of `choices`. */
  choice<T extends string>(field: string, choices: readonly T[], byDefault: T): T {
    const value = this.#config[field] ?? byDefault;
    const found = choices.find((c) => c === value);
    if (found === undefined) throw this.error(field, `is not supported; use one of ${choices.map(show).join(", ")}`);
    return found;
  }

  /** A list of numbers, or undefined. */
  numbers(field: string): readonly number[] | undefined {
    const value = this.#config[field];
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value)) throw this.error(field, "must be a list of numbers");
    return value.map((v: unknown) => {
      if (typeof v !== "number" || !Number.isFinite(v)) throw this.error(field, "must be a list of numbers");
      return v;
    });
  }

  /** @param predictions what the network may predict with this sampler */
  common(
    defaults: ClassDefaults,
    predictions: readonly PredictionType[] = ["epsilon", "v_prediction", "sample"],
  ): CommonConfig {
    const trainedBetas = this.numbers("trained_betas");
    const trainTimesteps = this.number("num_train_timesteps", 1000, 1);
    if (trainedBetas !== undefined && trainedBetas.length !== trainTimesteps) {
      throw this.error("trained_betas", `must hold num_train_timesteps = ${trainTimesteps} numbers`);
    }
    return {
      trainTimesteps,
      betaStart: this.number("beta_start", defaults.betaStart),
      betaEnd: this.number("beta_end", defaults.betaEnd),
      betaSchedule: this.choice(
        "beta_schedule",
        ["linear", "scaled_linear", "squaredcos_cap_v2"] as const,
        defaults.betaSchedule,
      ),
      trainedBetas,
      predictionType: this.choice("prediction_type", predictions, "epsilon"),
      rescaleBetasZeroSnr: this.boolean("rescale_betas_zero_snr", false),
      spacing: this.choice("timestep_spacing", ["linspace", "leading", "trailing"] as const, defaults.spacing),
      stepsOffset: this.number("steps_offset", 0, 0),
    };
  }

  /** "DDIMScheduler: clip_sample = true …" */
  error(field: string, cure: string): Error {
    return new Error(`${this.#class}: ${field} = ${show(this.#config[field])} ${cure}.`);
  }
}

/**
 * scheduler_config.json as parsed; unlike JSON.parse it takes the bare Infinity and NaN that Python writes
 * (`"lambda_min_clipped": -Infinity`).
 */
export function parseSchedulerConfig(text: string): SchedulerConfig {
  const json = text.replace(/"(?:[^"\\]|\\.)*"|(-?)Infinity|NaN/g, (match, sign: string | undefined) => {
    if (match.startsWith('"')) return match;
    return match === "NaN" ? "null" : `${sign ?? ""}1e999`;
  });
  const config: unknown = JSON.parse(json);
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    throw new Error("scheduler_config.json must hold one object of fields.");
  }
  return { ...config };
}

const show = (value: unknown): string => JSON.stringify(value) ?? String(value);
