// Jobs: what was asked for, in a queue that the engine works off one by one. A job's progress is a signal of its own, so
// that a step redraws one bar and one picture.

import { computed, signal, type Signal } from "@preact/signals";
import type { AttentionMap, Frames } from "../../index.js";
import type { KernelTime, RunEvent, RunResult, Stage } from "../engine/protocol.js";
import { CRASH, RemoteError } from "../rpc.js";
import { engine, facts, openGpu } from "./engine.js";
import { keep, type Clip } from "./history.js";
import { inputsOf, type Inputs } from "./inputs.js";
import { read } from "./read-inputs.js";
import type { Settings } from "./defaults.js";
import { requestOf } from "./request.js";
import { Clock } from "./clock.js";
import { Pace } from "./pace.js";
import { say } from "./toasts.js";

export interface Progress {
  readonly stage: Stage | "waiting";
  /** Of this stage, 0 … 1. */
  readonly fraction: number;
  readonly detail?: string | undefined;
  /** Steps done, and in all. */
  readonly steps: number;
  readonly count: number;
  readonly preview?: Frames;
}

export type JobState = "waiting" | "running" | "done" | "cancelled" | "failed";

export interface Job {
  readonly id: number;
  readonly settings: Settings;
  readonly state: Signal<JobState>;
  readonly progress: Signal<Progress>;
  /** The estimate after each step, for looking at how the clip came about. */
  readonly previews: Signal<readonly Frames[]>;
  readonly clock: Clock;
  readonly pace: Pace;
  /** How many times longer a step took while the tab was hidden, where that is worth a word. */
  readonly throttled: Signal<number | undefined>;
  readonly clip: Signal<Clip | undefined>;
  readonly error: Signal<{ readonly name: string; readonly message: string } | undefined>;
  readonly controller: AbortController;
  /** What it reads beside its words. */
  readonly inputs: Inputs;
}

export const jobs = signal<readonly Job[]>([]);
export const current = computed(() => jobs.value.find((j) => j.state.value === "running"));
export const waiting = computed(() => jobs.value.filter((j) => j.state.value === "waiting"));
/** Jobs whose dispatches are timed: slower, and what the Learn tab shows. */
const profiles = new WeakMap<Job, { readonly word: string | undefined }>();
export const kernels = signal<readonly KernelTime[]>([]);
/** Previews of the latest run, step by step. */
export const lastPreviews = signal<readonly Frames[]>([]);

document.addEventListener("visibilitychange", () => current.peek()?.pace.changed());

let next = 1;
let working = false;

/** Queues a run. */
export function enqueue(
  settings: Settings,
  inputs: Inputs = inputsOf(settings),
  timed?: { readonly word: string | undefined },
): Job {
  const job: Job = {
    id: next++,
    settings,
    state: signal("waiting"),
    progress: signal({ stage: "waiting", fraction: 0, steps: 0, count: settings.steps }),
    previews: signal([]),
    clock: new Clock(settings),
    pace: new Pace(() => document.hidden),
    throttled: signal(undefined),
    clip: signal(undefined),
    error: signal(undefined),
    controller: new AbortController(),
    inputs,
  };
  if (timed) profiles.set(job, timed);
  jobs.value = [...jobs.value.filter((j) => !isOver(j)), job];
  void work();
  return job;
}

/** A word's attention in the latest run, step by step. */
export const attentions = signal<{ readonly word: string; readonly maps: readonly AttentionMap[] }>({
  word: "",
  maps: [],
});

/** Queues a run whose dispatches are timed, and in which it is read where a word acts. */
export function enqueueTimed(settings: Settings, word: string | undefined): Job {
  return enqueue(settings, inputsOf(settings), { word });
}

function isOver(job: Job): boolean {
  return job.state.peek() === "done" || job.state.peek() === "cancelled";
}

/** Stops a job; the page shows it at once, the engine follows between two batches of its work. */
export function cancel(job: Job): void {
  if (job.state.value !== "running" && job.state.value !== "waiting") return;
  job.state.value = "cancelled";
  job.controller.abort();
}

export function cancelAll(): void {
  for (const job of jobs.value) cancel(job);
}

export function dismiss(job: Job): void {
  jobs.value = jobs.value.filter((j) => j !== job);
}

async function work(): Promise<void> {
  if (working) return;
  working = true;
  try {
    for (;;) {
      const job = jobs.value.find((j) => j.state.value === "waiting");
      if (!job) return;
      await run(job);
    }
  } finally {
    working = false;
  }
}

async function run(job: Job): Promise<void> {
  job.state.value = "running";
  job.progress.value = { ...job.progress.value, stage: "download" };
  lastPreviews.value = [];
  job.clock.start();
  const profile = profiles.has(job);
  const word = profiles.get(job)?.word;
  attentions.value = { word: word ?? "", maps: [] };
  const { signal: stop } = job.controller;
  try {
    const request = { ...requestOf(job.settings, profile), ...(await read(job.settings, job.inputs, stop)), word };
    const answer = engine.call("run", request, {
      onEvent: (event) => follow(job, event),
      signal: stop,
      transfer: request.start ? [request.start.frames.rgba.buffer] : [],
    });
    const result = await unlessDeaf(answer, stop);
    job.clock.stop();
    if (stop.aborted) return;
    finish(job, result);
  } catch (error) {
    if (stop.aborted) return;
    const { name, message } = error as Error;
    job.error.value = { name, message };
    job.state.value = "failed";
    // The engine opens another device, or starts anew, by itself: the page only has to know which.
    if (name === "DeviceLostError" || name === CRASH) {
      facts.value = undefined;
      await openGpu();
    }
  }
}

function finish(job: Job, result: RunResult): void {
  for (const warning of result.warnings) say(warning, "note");
  job.clip.value = keep(job.settings, result, job.inputs);
  job.state.value = "done";
}

/** A cancelled run that does not answer within some seconds (a driver compiling shaders) costs the worker its life. */
async function unlessDeaf(answer: Promise<RunResult>, stop: AbortSignal): Promise<RunResult> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deaf = new Promise<never>((_, reject) => {
    stop.addEventListener("abort", () => {
      timer = setTimeout(() => {
        engine.stop("it did not stop in time");
        facts.value = undefined;
        reject(new RemoteError("AbortError", "cancelled"));
      }, 15_000);
    });
  });
  try {
    return await Promise.race([answer, deaf]);
  } finally {
    clearTimeout(timer);
  }
}

/** Shows what the engine tells of a job. */
export function follow(job: Job, event: RunEvent): void {
  if (job.state.peek() !== "running") return;
  const now = job.progress.peek();
  switch (event.type) {
    case "stage":
      job.clock.enter(event.stage);
      job.progress.value = { ...now, stage: event.stage, fraction: event.fraction, detail: event.detail };
      return;
    case "model":
      facts.value = event.facts;
      job.clock.count(event.steps);
      job.progress.value = { ...now, count: event.steps };
      return;
    case "reopened":
      void openGpu();
      say(
        `The graphics adapter was lost and has been opened again; the clip goes on ${event.steps === 0 ? "from its beginning" : `after step ${event.steps}`}.`,
      );
      return;
    case "step": {
      const steps = event.index + 1;
      const over = steps === event.count;
      job.clock.step(steps, event.count, event.seconds);
      job.throttled.value = job.pace.step(steps, event.seconds) ?? job.throttled.peek();
      job.previews.value = [...job.previews.peek(), event.preview];
      lastPreviews.value = job.previews.peek();
      if (event.attention) {
        const { word, maps } = attentions.peek();
        attentions.value = { word, maps: [...maps, event.attention] };
      }
      job.progress.value = {
        ...now,
        stage: over ? "decode" : "denoise",
        fraction: over ? 0 : steps / event.count,
        steps,
        preview: event.preview,
      };
      return;
    }
    case "profile":
      kernels.value = event.kernels;
  }
}
