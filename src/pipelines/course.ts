// All steps of a run as one sampler. FreeInit goes through a sampler's steps as often as it has iterations. In video to video
// each iteration has fewer, as diffusers counts them: its pipeline takes the share `strength` of the steps left, every time.

import type { Scheduler, StepPlan } from "../schedulers/index.js";
import type { Settings } from "./options.js";

/** Samplers with one evaluation a step and noise of unit level: for others diffusers' count of steps is not theirs. */
const COUNTED: readonly string[] = ["lcm", "tcd", "ddim", "dpm", "dpm++", "dpm++-sde", "unipc"];

/** Steps that the sampler of each iteration is made for, of which `strength` keeps the last; undefined: one sampler for all. */
export function iterationSteps(s: Settings): readonly number[] | undefined {
  const { strength, freeInit, enforceSteps, steps } = s;
  if (strength === undefined || freeInit < 2) return undefined;
  const share = (n: number) => Math.min(n, Math.trunc(n * strength));
  const all = [enforceSteps ? steps : share(steps)];
  while (all.length < freeInit) all.push(share(all.at(-1)!));
  return all;
}

/** @throws Error where FreeInit and video to video do not go together, or an iteration would have no step */
export function checkIterations(s: Settings): void {
  const all = iterationSteps(s);
  if (!all) return;
  if (!COUNTED.includes(s.scheduler))
    throw new Error(
      `FreeInit of a video works with the samplers ${COUNTED.join(", ")}, not with ${s.scheduler}; choose one of them, or leave freeInit out`,
    );
  const run = all.map((n) => Math.trunc(n * s.strength!));
  if (run.includes(0))
    throw new Error(
      `FreeInit of a video takes the share ${s.strength} of the steps in every iteration anew, as diffusers does: of ${s.steps} steps the ${all.length} iterations would run ${run.join(", ")}; take more steps, more strength or fewer iterations`,
    );
}

/** A run's steps, counted over all iterations. */
export class Course implements Scheduler {
  readonly name: string;
  readonly timesteps: readonly number[];
  readonly initNoiseSigma: number;
  readonly history: Scheduler["history"];
  /** Steps of each iteration. */
  readonly counts: readonly number[];
  readonly #first: Scheduler;
  readonly #places: readonly { readonly scheduler: Scheduler; readonly index: number }[];

  /** `first` tells what a run begins with, `iterations` what it goes through. */
  constructor(first: Scheduler, iterations: readonly Scheduler[] = [first]) {
    this.name = first.name;
    this.initNoiseSigma = first.initNoiseSigma;
    this.history = first.history;
    this.#first = first;
    this.timesteps = iterations.flatMap((scheduler) => scheduler.timesteps);
    this.counts = iterations.map((scheduler) => scheduler.timesteps.length);
    this.#places = iterations.flatMap((scheduler) => scheduler.timesteps.map((_, index) => ({ scheduler, index })));
  }

  /** A step's number within its iteration. */
  indexOf(step: number): number {
    return this.#at(step).index;
  }

  inputScale(step: number): number {
    const { scheduler, index } = this.#at(step);
    return scheduler.inputScale(index);
  }

  plan(step: number): StepPlan {
    const { scheduler, index } = this.#at(step);
    return scheduler.plan(index);
  }

  addNoise(): ReturnType<Scheduler["addNoise"]> {
    return this.#first.addNoise();
  }

  #at(step: number): { readonly scheduler: Scheduler; readonly index: number } {
    const place = this.#places[step];
    if (!place) throw new Error(`step ${step} is beyond the run's ${this.#places.length}`);
    return place;
  }
}
