// The jobs of a list in the order in which they are done: those that want the same model follow each other, each with what
// it takes to fit the memory.

import type { Capabilities } from "../gpu/limits.js";
import { fitted, type Fitted } from "./fit.js";
import type { RunArguments } from "./options.js";
import type { Job } from "./options-jobs.js";
import { modelPaths } from "./sources.js";

/** Options that a loaded model does not depend on; jobs that differ in others are done with a model of their own. */
const PER_RUN = new Set(
  (
    "negative seed steps guidance frames size fps scheduler originalSteps betaEnd betaSchedule clipSkip plainPrompt emphasis " +
    "long context stride contextSchedule freeInit freeInitFilter promptAt region regionBase resume preview " +
    "initVideo strength enforceSteps image motionScale colourMatch control controlGuess ipAdapter ipEncoder ipImage ipScale " +
    "vaeTiling memory output latentsOut json quiet verbose prompts shard"
  ).split(" "),
);

/** Options that a plan does not depend on. */
const UNPLANNED = new Set("seed output latentsOut json quiet verbose prompts shard resume preview".split(" "));

/** A job that was planned; `fit` is undefined where that cannot be said before its turn, or where it fits in no way. */
export interface PlannedJob {
  readonly job: Job;
  readonly fit: Fitted | undefined;
}

/** Everything that loading a run's model depends on, as a text to compare. */
export function loadingOf(run: RunArguments): string {
  return JSON.stringify([modelPaths(run), options(run, PER_RUN)]);
}

/** The options but those in `without`, in one order. */
function options(run: RunArguments, without: ReadonlySet<string>): readonly unknown[] {
  const given = Object.entries(run).filter(([name, value]) => !without.has(name) && value !== undefined);
  return given.toSorted(([x], [y]) => (x < y ? -1 : 1));
}

/**
 * Plans the jobs: one of those that differ in nothing that memory depends on. What cannot be planned yet (a job may read
 * what an earlier one writes) is left for its turn, which says why if it still cannot.
 */
export async function planJobs(
  jobs: readonly Job[],
  capabilities: Capabilities,
  signal: AbortSignal,
): Promise<readonly PlannedJob[]> {
  const known = new Map<string, Fitted | undefined>();
  const planned: PlannedJob[] = [];
  for (const job of jobs) {
    const key = JSON.stringify(options(job.run, UNPLANNED));
    const fit = known.has(key) ? known.get(key) : await fitted(job.run, capabilities).catch(() => undefined);
    signal.throwIfAborted();
    known.set(key, fit);
    planned.push({ job, fit: fit && { ...fit, run: { ...job.run, ...fit.way } } });
  }
  return planned;
}

/** Jobs that one loaded model does; those with the same further networks follow each other. */
export function byModel(jobs: readonly PlannedJob[]): readonly (readonly PlannedJob[])[] {
  const groups = new Map<string, PlannedJob[]>();
  for (const planned of jobs) {
    const key = loadingOf(planned.fit?.run ?? planned.job.run);
    groups.set(key, [...(groups.get(key) ?? []), planned]);
  }
  const order = new Map<string, number>();
  for (const { job } of jobs) if (!order.has(networksOf(job))) order.set(networksOf(job), order.size);
  return [...groups.values()].map((group) =>
    group.toSorted((x, y) => order.get(networksOf(x.job))! - order.get(networksOf(y.job))!),
  );
}

/** The networks that a job wants beside the model. */
function networksOf({ run }: Job): string {
  return JSON.stringify([(run.control ?? []).map((c) => c.model).toSorted(), run.ipAdapter ?? [], run.ipEncoder ?? []]);
}
