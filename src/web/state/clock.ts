// How long a run still takes: from the arithmetic its plan counts by stage and the speed of this adapter, as measured by
// earlier runs (kept) and corrected by every step of this one.

import type { Stage } from "../engine/protocol.js";
import type { Settings } from "./defaults.js";
import { keep, kept } from "./kept.js";

type Timed = "text" | "denoise" | "decode";

/** Parts of a whole run where no plan is known: of the demo model, on a software adapter. */
const TYPICAL: Readonly<Record<Timed, number>> = { text: 0.05, denoise: 0.65, decode: 0.3 };
const KEY = "kineograph.speed";

/** Seconds per unit of work by stage, from earlier runs on this machine. */
function speeds(): Partial<Record<Timed, number>> {
  try {
    return JSON.parse(kept(KEY) ?? "{}") as Partial<Record<Timed, number>>;
  } catch {
    return {};
  }
}

/** Size of a stage's work in megapixel evaluations, of denoising a step's: what stages of different settings are compared by. */
function units(s: Settings): Readonly<Record<Timed, number>> {
  const pixels = (s.width * s.height * s.frames) / 1e6;
  return { text: 1, denoise: pixels * (s.guidance > 1 ? 2 : 1), decode: pixels };
}

export class Clock {
  readonly #units: Readonly<Record<Timed, number>>;
  readonly #speeds = speeds();
  #steps: number;
  #stage: Stage = "download";
  #entered = 0;
  #started = 0;
  #stepSeconds = 0;
  #stepsDone = 0;
  #measured: Partial<Record<Timed, number>> = {};

  constructor(settings: Settings) {
    this.#units = units(settings);
    this.#steps = settings.steps;
  }

  start(): void {
    this.#started = this.#entered = performance.now();
  }

  enter(stage: Stage): void {
    if (stage === this.#stage) return;
    this.#leave();
    this.#stage = stage;
    this.#entered = performance.now();
  }

  /** Another number of steps than the settings say: a video's strength leaves some out, FreeInit runs them several times. */
  count(steps: number): void {
    this.#steps = steps;
  }

  step(done: number, count: number, seconds: number): void {
    if (this.#stage === "text") {
      // The first step's event is the first sign of life after the text: its own time is known, the rest was the text.
      const total = (performance.now() - this.#entered) / 1000;
      this.#measured.text = Math.max(0, total - seconds);
      this.#stage = "denoise";
    }
    this.#stepsDone = done;
    // The first step compiles shaders; later ones tell the speed.
    this.#stepSeconds = done === 1 ? seconds : Math.min(this.#stepSeconds, seconds) * 0.5 + seconds * 0.5;
    this.#entered = performance.now();
    if (done === count) {
      this.#measured.denoise = this.#stepSeconds;
      this.#stage = "decode";
    }
  }

  /** Keeps what this run has shown about the machine's speed. */
  stop(): void {
    this.#leave();
    const now: Partial<Record<Timed, number>> = { ...this.#speeds };
    for (const stage of ["text", "denoise", "decode"] as const) {
      const seconds = this.#measured[stage];
      if (seconds !== undefined) now[stage] = seconds / this.#units[stage];
    }
    keep(KEY, JSON.stringify(now));
  }

  get elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** Seconds left; undefined where nothing is known yet. */
  get left(): number | undefined {
    const inStage = (performance.now() - this.#entered) / 1000;
    const whole = (stage: Timed): number | undefined => {
      const times = stage === "denoise" ? this.#steps : 1;
      if (stage === "denoise" && this.#stepsDone > 0) return this.#stepSeconds * times;
      const speed = this.#speeds[stage];
      if (speed !== undefined) return speed * this.#units[stage] * times;
      if (this.#stepsDone === 0) return undefined;
      return ((this.#stepSeconds * this.#steps) / TYPICAL.denoise) * TYPICAL[stage];
    };
    const decode = whole("decode");
    if (decode === undefined) return undefined;
    if (this.#stage === "decode") return Math.max(0, decode - inStage);
    const denoise = whole("denoise");
    if (denoise === undefined) return undefined;
    const steps = (denoise / this.#steps) * (this.#steps - this.#stepsDone);
    if (this.#stage === "denoise") return Math.max(0, steps - inStage) + decode;
    const text = whole("text");
    return text === undefined ? undefined : Math.max(0, text + steps - inStage) + decode;
  }

  /** Part of the present step or stage that should be over by now, 0 … 1. */
  get within(): number {
    const seconds = (performance.now() - this.#entered) / 1000;
    const expected =
      this.#stage === "decode"
        ? (this.#speeds.decode ?? 0) * this.#units.decode
        : this.#stepsDone > 0
          ? this.#stepSeconds
          : (this.#speeds.denoise ?? 0) * this.#units.denoise;
    // Approaches the end without reaching it.
    return expected > 0 ? 1 - Math.exp((-1.5 * seconds) / expected) : 0;
  }

  #leave(): void {
    if (this.#stage === "decode") this.#measured.decode = (performance.now() - this.#entered) / 1000;
  }
}
