/** The samplers by the names the command line uses, made from a folder's scheduler_config.json. */
import type { SchedulerConfig } from "./config.js";
import { DDIMScheduler } from "./ddim.js";
import { DPMSolverMultistepScheduler } from "./dpm-solver.js";
import { EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, HeunDiscreteScheduler } from "./euler.js";
import { LCMScheduler } from "./lcm.js";
import type { Scheduler } from "./plan.js";
import { PNDMScheduler } from "./pndm.js";
import { TCDScheduler } from "./tcd.js";
import { UniPCMultistepScheduler } from "./unipc.js";

export { applyPlan, MAX_TERMS } from "./plan.js";
export type { Assignment, HistorySlot, Scheduler, Slot, StepPlan, Terms } from "./plan.js";
export { lastNoiseLevel } from "./noise-schedule.js";
export { parseSchedulerConfig } from "./config.js";
export type { BetaSchedule, PredictionType, SchedulerConfig, TimestepSpacing } from "./config.js";
export {
  DDIMScheduler,
  DPMSolverMultistepScheduler,
  EulerAncestralDiscreteScheduler,
  EulerDiscreteScheduler,
  HeunDiscreteScheduler,
  LCMScheduler,
  PNDMScheduler,
  TCDScheduler,
  UniPCMultistepScheduler,
};

export interface SchedulerOptions {
  /** `lcm` and `tcd`: points of the training grid; the config's, or 50. */
  readonly originalInferenceSteps?: number;
  /** `ddim` (0 by default) and `tcd` (0.3): how much noise a step adds. */
  readonly eta?: number;
  /** Runs only the last int(steps·strength) steps, for a run that starts from given latents; 1 by default. */
  readonly strength?: number;
}

interface Entry {
  readonly className: string;
  /** Options this sampler takes besides `strength`. */
  readonly takes: readonly (keyof SchedulerOptions)[];
  readonly make: (config: SchedulerConfig, steps: number, options: SchedulerOptions) => Scheduler;
}

const SCHEDULERS = {
  lcm: {
    className: "LCMScheduler",
    takes: ["originalInferenceSteps"],
    make: (config, steps, options) => new LCMScheduler(config, steps, options),
  },
  ddim: {
    className: "DDIMScheduler",
    takes: ["eta"],
    make: (config, steps, options) => new DDIMScheduler(config, steps, options),
  },
  dpm: {
    className: "DPMSolverMultistepScheduler",
    takes: [],
    make: (config, steps, options) =>
      new DPMSolverMultistepScheduler(config, steps, { ...options, algorithm: "dpmsolver" }),
  },
  "dpm++": {
    className: "DPMSolverMultistepScheduler",
    takes: [],
    make: (config, steps, options) =>
      new DPMSolverMultistepScheduler(config, steps, { ...options, algorithm: "dpmsolver++" }),
  },
  "dpm++-sde": {
    className: "DPMSolverMultistepScheduler",
    takes: [],
    make: (config, steps, options) =>
      new DPMSolverMultistepScheduler(config, steps, { ...options, algorithm: "sde-dpmsolver++" }),
  },
  euler: {
    className: "EulerDiscreteScheduler",
    takes: [],
    make: (config, steps, options) => new EulerDiscreteScheduler(config, steps, options),
  },
  "euler-a": {
    className: "EulerAncestralDiscreteScheduler",
    takes: [],
    make: (config, steps, options) => new EulerAncestralDiscreteScheduler(config, steps, options),
  },
  heun: {
    className: "HeunDiscreteScheduler",
    takes: [],
    make: (config, steps, options) => new HeunDiscreteScheduler(config, steps, options),
  },
  pndm: {
    className: "PNDMScheduler",
    takes: [],
    make: (config, steps, options) => new PNDMScheduler(config, steps, options),
  },
  unipc: {
    className: "UniPCMultistepScheduler",
    takes: [],
    make: (config, steps, options) => new UniPCMultistepScheduler(config, steps, options),
  },
  tcd: {
    className: "TCDScheduler",
    takes: ["originalInferenceSteps", "eta"],
    make: (config, steps, options) => new TCDScheduler(config, steps, options),
  },
} satisfies Record<string, Entry>;

export type SchedulerName = keyof typeof SCHEDULERS;

/** Every sampler's name, for help texts and checks. */
export const SCHEDULER_NAMES: readonly SchedulerName[] = Object.keys(SCHEDULERS).filter(isSchedulerName);

export function isSchedulerName(name: string): name is SchedulerName {
  return Object.hasOwn(SCHEDULERS, name);
}

/**
 * The sampler that a config's own `_class_name` (and, for DPM-Solver, `algorithm_type`) asks for.
 * @throws when the class is none of those implemented, or there is no class name.
 */
export function schedulerNameOf(config: SchedulerConfig): SchedulerName {
  const { _class_name: className, algorithm_type: algorithm } = config;
  if (className === "DPMSolverMultistepScheduler") {
    const name = { "dpmsolver++": "dpm++", dpmsolver: "dpm", "sde-dpmsolver++": "dpm++-sde" }[
      algorithm ?? "dpmsolver++"
    ];
    if (name !== undefined && isSchedulerName(name)) return name;
    throw new Error(
      `${className}: algorithm_type ${algorithm} has no name here; use one of ${SCHEDULER_NAMES.join(", ")}.`,
    );
  }
  const found = SCHEDULER_NAMES.find((name) => SCHEDULERS[name].className === className);
  if (found === undefined) {
    throw new Error(
      `scheduler_config.json asks for ${className ?? "no class"}, which is not implemented; ` +
        `choose a sampler yourself: ${SCHEDULER_NAMES.join(", ")}.`,
    );
  }
  return found;
}

/**
 * A sampler for a run of `steps` steps. The config may be of another class: fields of the same name count, as with
 * diffusers' `from_config`; `dpm`, `dpm++` and `dpm++-sde` set `algorithm_type` themselves.
 * @throws when the name is unknown, the config unsupported, the steps impossible, or an option would have no effect.
 */
export function makeScheduler(
  name: SchedulerName,
  config: SchedulerConfig,
  steps: number,
  options: SchedulerOptions = {},
): Scheduler {
  if (!isSchedulerName(name)) {
    throw new Error(`There is no scheduler "${String(name)}"; use one of ${SCHEDULER_NAMES.join(", ")}.`);
  }
  const { _class_name: className } = config;
  if (className?.startsWith("FlowMatch") === true) {
    throw new Error(`The model was trained for ${className}; none of the samplers here follows its noise schedule.`);
  }
  const entry: Entry = SCHEDULERS[name];
  if (options.originalInferenceSteps !== undefined && !entry.takes.includes("originalInferenceSteps")) {
    throw new Error(`Original steps mean nothing to ${name}; leave them out, or use lcm.`);
  }
  if (options.eta !== undefined && !entry.takes.includes("eta")) {
    throw new Error(`eta means nothing to ${name}; leave it out, or use ddim or tcd.`);
  }
  return entry.make(config, steps, options);
}
