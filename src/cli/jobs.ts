// kineograph generate --prompts: many clips in one go. A model is loaded once for all jobs that want it; a job that fails is
// reported and the others are done; what is there already is left.

import { mkdir, readdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Device } from "../gpu/device.js";
import { DeviceLostError } from "../gpu/errors.js";
import { frameName } from "../io/output.js";
import { openAdapter } from "./adapters.js";
import { Interrupted, messageOf } from "./failure.js";
import { elapsed, seconds } from "./format.js";
import type { Report } from "./report.js";
import { perform, prepare } from "./run.js";
import { openSession, type Session } from "./session.js";
import { interruptible } from "./interrupt.js";
import { statePath } from "./keeper.js";
import type { RunArguments } from "./options.js";
import { readsPictures } from "./pictures.js";
import { readJobs, shardOf, type Job, type JobArguments } from "./options-jobs.js";
import { modelPaths } from "./sources.js";
import { Terminal } from "./terminal.js";

/** Options that a loaded model does not depend on; jobs that differ in others are done with a model of their own. */
const PER_RUN = new Set(
  (
    "negative seed steps guidance frames size fps scheduler originalSteps betaEnd betaSchedule clipSkip plainPrompt emphasis " +
    "long context stride contextSchedule freeInit freeInitFilter promptAt region regionBase resume preview " +
    "initVideo strength enforceSteps image motionScale colourMatch control controlGuess ipAdapter ipEncoder ipImage ipScale " +
    "output latentsOut json quiet verbose prompts shard"
  ).split(" "),
);

/** Encodings of prompts kept for the jobs to come. */
const KEPT_TEXTS = 32;

/** What `--json` prints. */
interface JobsReport {
  readonly clips: readonly (Report & { readonly index: number })[];
  readonly skipped: readonly string[];
  readonly failed: readonly { readonly index: number; readonly line: number; readonly error: string }[];
}

/** Does the jobs of this shard. @throws Error where any failed, after all were tried */
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
  const report = {
    ...(await interruptible((signal) => work(open, a, terminal, signal))),
    skipped,
  } satisfies JobsReport;
  if (a.json === true) console.log(JSON.stringify(report));
  else for (const { output } of report.clips) console.log(output);
  const { length } = report.failed;
  if (length > 0)
    throw new Error(
      `${length} of ${mine.length} jobs failed: line${length === 1 ? "" : "s"} ${report.failed.map((f) => f.line).join(", ")} of ${a.prompts}; the others are done, and a second start does only these`,
    );
}

/** Whether a job's output is there: files are written whole or not at all, of a folder the last frame counts. */
async function isDone({ output, run }: Job): Promise<boolean> {
  if (!/[/\\]$/.test(output)) return isFile(output);
  const names = await readdir(output).catch((): string[] => []);
  return names.includes(frameName((run.frames ?? 16) - 1));
}

/** A job that was interrupted goes on from the state it left beside its output. */
async function continued({ run, output }: Job): Promise<RunArguments> {
  const resume = statePath(output);
  return (await isFile(resume)) ? { ...run, resume } : run;
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (s) => s.isFile(),
    () => false,
  );
}

/** The networks that a job wants beside the model. */
function networksOf({ run }: Job): string {
  return JSON.stringify([(run.control ?? []).map((c) => c.model).toSorted(), run.ipAdapter ?? [], run.ipEncoder ?? []]);
}

/** Jobs that one loaded model does, by everything that loading depends on; those with the same further networks follow each other. */
function byModel(jobs: readonly Job[]): readonly (readonly Job[])[] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) {
    const loading = Object.entries(job.run).filter(([name, v]) => !PER_RUN.has(name) && v !== undefined);
    const key = JSON.stringify([modelPaths(job.run), loading.toSorted(([x], [y]) => (x < y ? -1 : 1))]);
    groups.set(key, [...(groups.get(key) ?? []), job]);
  }
  const order = new Map<string, number>();
  for (const job of jobs) if (!order.has(networksOf(job))) order.set(networksOf(job), order.size);
  return [...groups.values()].map((group) =>
    group.toSorted((x, y) => order.get(networksOf(x))! - order.get(networksOf(y))!),
  );
}

async function work(
  jobs: readonly Job[],
  a: RunArguments,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<Omit<JobsReport, "skipped">> {
  const clips: JobsReport["clips"][number][] = [];
  const failed: JobsReport["failed"][number][] = [];
  const start = performance.now();
  let device: Device | undefined;
  let session: Session | undefined;
  const close = () => {
    session?.[Symbol.dispose]();
    session = undefined;
  };
  try {
    for (const group of byModel(jobs)) {
      close();
      const encoder = group.some(({ run }) => readsPictures(run));
      for (const job of group) {
        const done = clips.length + failed.length;
        const spent = elapsed(start);
        const left = done > 0 ? `, about ${seconds((spent / done) * (jobs.length - done))} left` : "";
        terminal.say(`job       ${done + 1} of ${jobs.length}${left}: line ${job.line}, “${job.prompt}”`);
        const begin = performance.now();
        try {
          device ??= await openAdapter(a.device);
          await mkdir(/[/\\]$/.test(job.output) ? job.output : dirname(job.output), { recursive: true });
          const run = await continued(job);
          const prepared = await prepare(run, [job.output]);
          if (!session) {
            session = await openSession(device, run, terminal, signal, encoder);
            session.pipeline.keepTexts(KEPT_TEXTS);
          }
          const { report } = await perform(session, job.prompt, run, prepared, terminal, signal, begin);
          clips.push({ index: job.index, ...report });
        } catch (error) {
          if (signal.aborted || error instanceof Interrupted) throw error;
          const text = messageOf(error, a.verbose === true) ?? String(error);
          terminal.warn(`line ${job.line} failed: ${text.replace(/^kineograph: /, "")}`);
          failed.push({ index: job.index, line: job.line, error: text.replace(/^kineograph: /, "") });
          if (error instanceof DeviceLostError) {
            // Nothing on it can be used any more; the next job gets another.
            close();
            device?.[Symbol.dispose]();
            device = undefined;
          }
        }
      }
    }
  } finally {
    close();
    device?.[Symbol.dispose]();
    terminal.clear();
  }
  return { clips, failed };
}
