// kineograph generate --prompts: many clips in one go. A model is loaded once for all jobs that want it; a job that fails is
// reported and the others are done; what is there already is left.

import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ResumeError } from "../pipelines/run-state.js";
import { Interrupted, messageOf } from "./failure.js";
import { fitted, tellChanges } from "./fit.js";
import { elapsed, seconds } from "./format.js";
import { interruptible } from "./interrupt.js";
import { isDone, isFolder, stateOf } from "./job-files.js";
import { byModel, planJobs, type PlannedJob } from "./job-groups.js";
import type { RunArguments } from "./options.js";
import { readJobs, shardOf, type Job, type JobArguments } from "./options-jobs.js";
import { readsPictures } from "./pictures.js";
import type { Report } from "./report.js";
import { perform, prepare } from "./run.js";
import { SharedModel } from "./shared-model.js";
import { Terminal } from "./terminal.js";

/** What `--json` prints. */
interface JobsReport {
  readonly clips: readonly (Report & { readonly index: number })[];
  readonly skipped: readonly string[];
  readonly failed: readonly { readonly index: number; readonly line: number; readonly error: string }[];
}

/** Does the jobs of this shard. @throws Error where any failed, after all were tried; Interrupted saying how many are done */
export async function generateMany(a: RunArguments & JobArguments & { readonly prompts: string }): Promise<void> {
  const terminal = new Terminal({ quiet: a.quiet });
  const all = await readJobs(a.prompts, a);
  const shard = shardOf(a.shard, process.env);
  const mine = shard ? all.filter(({ index }) => index % shard.count === shard.index) : all;
  if (shard)
    terminal.say(
      `shard     ${shard.index + 1} of ${shard.count} (${shard.source}): ${mine.length} of ${all.length} jobs`,
    );
  const skipped: string[] = [];
  const open: Job[] = [];
  for (const job of mine)
    if (await isDone(job)) skipped.push(job.output);
    else open.push(job);
  if (skipped.length > 0) terminal.say(`skipped   ${skipped.length} that are there already`);
  const list = new JobList(open, a, terminal);
  await interruptible((signal) => list.work(signal)).catch((error: unknown) => {
    if (!(error instanceof Interrupted)) throw error;
    const there = `after ${skipped.length + list.clips.length} of ${mine.length} clips`;
    const next = error.kept === undefined ? "; the same command goes on" : ` and, in the next, ${error.kept}`;
    throw new Interrupted(error.signal, there + next);
  });
  const { clips, failed } = list;
  if (a.json === true) console.log(JSON.stringify({ clips, skipped, failed } satisfies JobsReport));
  else for (const { output } of clips) console.log(output);
  const { length } = failed;
  if (length > 0)
    throw new Error(
      `${length} of ${mine.length} jobs failed: line${length === 1 ? "" : "s"} ${failed.map((f) => f.line).join(", ")} of ${a.prompts}; the others are done, and a second start does only these`,
    );
}

/** Jobs that are done one after another, and what came of them. */
class JobList {
  readonly clips: JobsReport["clips"][number][] = [];
  readonly failed: JobsReport["failed"][number][] = [];
  readonly #jobs: readonly Job[];
  readonly #a: RunArguments;
  readonly #terminal: Terminal;

  constructor(jobs: readonly Job[], a: RunArguments, terminal: Terminal) {
    this.#jobs = jobs;
    this.#a = a;
    this.#terminal = terminal;
  }

  /** Tries every job. @throws Interrupted, or Error where there is no device at all */
  async work(signal: AbortSignal): Promise<void> {
    if (this.#jobs.length === 0) return;
    using model = new SharedModel(this.#a.device, this.#terminal);
    try {
      const { capabilities } = await model.device();
      const start = performance.now();
      for (const group of byModel(await planJobs(this.#jobs, capabilities, signal))) {
        const encoder = group.some(({ job }) => readsPictures(job.run));
        for (const planned of group) {
          this.#announce(planned.job, start);
          await this.#attempt(planned, model, signal, encoder);
        }
      }
    } finally {
      this.#terminal.clear();
    }
  }

  #announce(job: Job, start: number): void {
    const { length } = this.#jobs;
    const done = this.clips.length + this.failed.length;
    const left = done > 0 ? `, about ${seconds((elapsed(start) / done) * (length - done))} left` : "";
    this.#terminal.say(`job       ${done + 1} of ${length}${left}: line ${job.line}, “${job.prompt}”`);
  }

  /** Makes a job's clip, or notes why not. @throws Interrupted */
  async #attempt(planned: PlannedJob, model: SharedModel, signal: AbortSignal, encoder: boolean): Promise<void> {
    const { index, line } = planned.job;
    try {
      this.clips.push({ index, ...(await this.#make(planned, model, signal, encoder)) });
    } catch (error) {
      if (signal.aborted || error instanceof Interrupted) throw error;
      const text = (messageOf(error, this.#a.verbose === true) ?? String(error)).replace(/^kineograph: /, "");
      this.#terminal.warn(`line ${line} failed: ${text}`);
      this.failed.push({ index, line, error: text });
    }
  }

  /** Makes a job's clip: from the state it was interrupted in, unless that is of another run by now. */
  async #make({ job, fit }: PlannedJob, model: SharedModel, signal: AbortSignal, encoder: boolean): Promise<Report> {
    const start = performance.now();
    let loaded = 0;
    await mkdir(isFolder(job.output) ? job.output : dirname(job.output), { recursive: true });
    const once = async (asked: RunArguments): Promise<Report> => {
      const prepared = await prepare(asked, [job.output], "the same command");
      const { way, changes } = fit ?? (await fitted(asked, (await model.device()).capabilities));
      tellChanges(changes, this.#terminal);
      const run = { ...asked, ...way };
      const { session, loadSeconds } = await model.session(run, signal, encoder);
      loaded += loadSeconds; // by a state that was refused, too
      const around = { terminal: this.#terminal, signal, start, loadSeconds: loaded };
      return (await perform(session, job.prompt, run, prepared, around)).report;
    };
    const resume = await stateOf(job);
    if (resume === undefined) return once(job.run);
    try {
      return await once({ ...job.run, resume });
    } catch (error) {
      if (!(error instanceof ResumeError)) throw error;
      this.#terminal.warn(`line ${job.line} begins anew: ${error.reason}`);
      await rm(resume);
      return once(job.run);
    }
  }
}
