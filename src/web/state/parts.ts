// A job's run in parts as wide as they take long, and how far each is: what its bar shows, and the tab's title.

import type { Job } from "./jobs.js";

export interface Part {
  readonly key: string;
  /** Its share, beside the others'. */
  readonly share: number;
  /** How much of it is done, 0 … 1. */
  readonly done: number;
}

const ORDER = ["download", "tune", "load", "text", "denoise", "decode"];

/** Parts that the steps are shown in, at most. */
const MOST = 50;

export function partsOf(job: Job): readonly Part[] {
  const p = job.progress.value;
  const { within } = job.clock;
  const at = ORDER.indexOf(p.stage);
  const fill = (stage: string, own: number) => (ORDER.indexOf(stage) < at ? 1 : p.stage === stage ? own : 0);
  const cells = Math.min(p.count, MOST);
  // Windows tell how far a step is; without them its time does.
  const known = p.fraction * p.count;
  const steps = p.stage !== "denoise" ? p.steps : known > p.steps ? known : p.steps + within;
  return [
    { key: "load", share: 1, done: fill("load", p.fraction) },
    { key: "text", share: 0.7, done: fill("text", 0.5) },
    ...Array.from({ length: cells }, (_, i) => ({
      key: `step ${i}`,
      share: Math.max(0.2, 8 / cells),
      done: Math.min(1, Math.max(0, (steps * cells) / p.count - i)),
    })),
    { key: "decode", share: 2.5, done: fill("decode", within) },
  ];
}

/** How much of a job is done, 0 … 1. */
export function doneOf(job: Job): number {
  const parts = partsOf(job);
  const sum = (of: (part: Part) => number) => parts.reduce((n, part) => n + of(part), 0);
  return sum((p) => p.share * p.done) / sum((p) => p.share);
}
