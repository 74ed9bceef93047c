// Times work that is short for a GPU. A GPU lowers its clock within milliseconds of idleness and takes up to half a second
// of work to raise it again (an H200: from 345 to 1980 MHz): a kernel that is timed alone runs at a fifth of its speed or at
// all of it, as it happens. A measurement therefore is the end of a burst without gaps: the same work over and over, for
// a while where the device was idle, then the runs that count, by the timestamps of their dispatches where the
// adapter has them. The work is recorded and replayed, so that the host keeps ahead of the device.

import type { Device, Recording } from "./device.js";
import type { ProfileEntry } from "./profiler.js";

/** Milliseconds of work that raise the clock far enough for figures that repeat (on that H200), and that keep it up. */
const RAISE_MS = 150;
const KEEP_MS = 8;
/** After so much time without a measurement the clock is taken to be low. */
const IDLE_MS = 20;
/** Runs of a burst at most: the host's memory for what is recorded of it. */
const MOST_IN_BURST = 8192;

/** Records one run. Called twice, and must do the same both times. */
export type Run = () => Disposable | void;

/** Measures on one device, which has nothing else to do meanwhile. */
export class Stopwatch {
  readonly #device: Device;
  /** Milliseconds of runs that were timed before, by the wall's clock. */
  readonly #known = new WeakMap<Run, number>();
  #busyUntil = -Infinity;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Milliseconds of one run, the mean of so many that they take about `ms` together; at most `most`. */
  async time(run: Run, ms: number, most: number): Promise<number> {
    const { each, entries, count } = await this.#measure(run, ms, most);
    const own = entries.reduce((sum, e) => sum + e.ms, 0);
    return own > 0 ? own / count : each;
  }

  /** The dispatches of one run by label. @throws Error where the adapter has no timestamps */
  async profile(run: Run): Promise<readonly ProfileEntry[]> {
    const { entries } = await this.#measure(run, 0, 1);
    if (entries.length === 0) this.#device.createProfiler(); // says what is missing
    return entries;
  }

  /** Repeats `run`, which resolves when the device has done it, until the clock is up. */
  async warmUp(run: () => Promise<unknown>): Promise<void> {
    const start = performance.now();
    const goal = this.#isCold() ? RAISE_MS : KEEP_MS;
    do await run();
    while (performance.now() - start < goal);
    this.#busyUntil = performance.now();
  }

  #isCold(): boolean {
    return performance.now() - this.#busyUntil > IDLE_MS;
  }

  /** The burst: milliseconds of a run by the wall's clock, and the dispatches of the `count` runs at its end. */
  async #measure(run: Run, ms: number, most: number) {
    const device = this.#device;
    const { result, recording } = device.record(run);
    try {
      await device.drain(); // as it was recorded, it runs once; what is new is compiled
      const about = await this.#raise(run, recording);
      const lead = Math.min(MOST_IN_BURST, Math.ceil(KEEP_MS / about));
      const count = Math.max(1, Math.min(most, Math.ceil(ms / about)));
      const stamped = device.capabilities.timestamps;
      if (!stamped) await this.#burst(recording, lead);
      const profiler = stamped ? device.createProfiler() : undefined;
      const dispatches = recording.work.filter((w) => w.kind === "dispatch").length;
      profiler?.skip(lead * dispatches);
      device.profiler = profiler;
      try {
        const runs = stamped ? lead + count : count;
        const took = await this.#burst(recording, runs);
        return { each: took / runs, count, entries: profiler?.entries ?? [] };
      } finally {
        device.profiler = undefined;
      }
    } finally {
      result?.[Symbol.dispose]();
      recording.dispose();
    }
  }

  /** Works until the clock is up; returns the milliseconds of a run. */
  async #raise(run: Run, recording: Recording): Promise<number> {
    const start = performance.now();
    const goal = this.#isCold() ? RAISE_MS : 0;
    let each = this.#known.get(run);
    let n = each === undefined ? 1 : Math.min(MOST_IN_BURST, Math.ceil(KEEP_MS / each));
    while (each === undefined || performance.now() - start < goal) {
      const took = await this.#burst(recording, n);
      if (took >= KEEP_MS || n >= MOST_IN_BURST) each = took / n;
      else n *= 2; // too short to tell
    }
    this.#known.set(run, each);
    return each;
  }

  /** Milliseconds of `n` runs, submitted one upon the other. */
  async #burst(recording: Recording, n: number): Promise<number> {
    for (let i = 0; i < n; i++) this.#device.replay(recording);
    const start = performance.now();
    await this.#device.drain();
    this.#busyUntil = performance.now();
    return this.#busyUntil - start;
  }
}
