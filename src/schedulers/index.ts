/** The samplers by the names the command line uses, made from a folder's scheduler_config.json. */
import type { SchedulerConfig } from "./config.js";
import { DDIMScheduler } from "./ddim.js";
import { LCMScheduler } from "./lcm.js";
import type { Scheduler } from "./plan.js";

export { applyPlan, type Assignment, MAX_TERMS, type Scheduler, type Slot, type StepPlan, type Terms } from "./plan.js";
export type { HistorySlot } from "./plan.js";
export type { BetaSchedule, PredictionType, SchedulerConfig, TimestepSpacing } from "./config.js";
export { DDIMScheduler, LCMScheduler };

export interface SchedulerOptions {
  /** `lcm` only: points of the training grid; the config's, or 50. */
  readonly originalInferenceSteps?: number;
  /** `ddim` only: 0 is deterministic. */
  readonly eta?: number;
  /** Runs only the last int(steps·strength) steps; 1 by default. */
  readonly strength?: number;
}

const MAKERS = {
  lcm: (config, steps, options) => new LCMScheduler(config, steps, options),
  ddim: (config, steps, options) => new DDIMScheduler(config, steps, options),
} satisfies Record<string, (config: SchedulerConfig, steps: number, options: SchedulerOptions) => Scheduler>;

export type SchedulerName = keyof typeof MAKERS;

/**
 * A sampler for a run of `steps` steps.
 * @throws when the name is unknown, the config unsupported, the steps impossible, or an option would have no effect.
 */
export function makeScheduler(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  options: SchedulerOptions = {},
): Scheduler {
  return MAKERS[name](config, steps, options);
}
