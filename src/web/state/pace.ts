// Whether steps take longer while the tab is hidden, as browsers make them: compared within one run, first steps (which compile
// shaders) and half-seen ones left out.

/** From this on it is said. */
const SLOWER = 2;

export class Pace {
  readonly #hidden: () => boolean;
  /** Seconds of steps. */
  readonly #seen: number[] = [];
  readonly #unseen: number[] = [];
  /** Whether the step in work has been all seen, all hidden, or neither. */
  #step: "seen" | "hidden" | "both";

  constructor(hidden: () => boolean) {
    this.#hidden = hidden;
    this.#step = hidden() ? "hidden" : "seen";
  }

  /** The tab was hidden or shown. */
  changed(): void {
    this.#step = "both";
  }

  /** A step is over, the `done`-th. @returns how many times longer hidden ones take, where that is worth a word */
  step(done: number, seconds: number): number | undefined {
    const was = this.#step;
    this.#step = this.#hidden() ? "hidden" : "seen";
    if (done === 1) return undefined;
    if (was === "seen") this.#seen.push(seconds);
    if (was === "hidden") this.#unseen.push(seconds);
    if (this.#seen.length === 0 || this.#unseen.length === 0) return undefined;
    const times = median(this.#unseen) / median(this.#seen);
    return times > SLOWER ? times : undefined;
  }
}

/** The lower one of the two in the middle, where they are an even number. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1]!;
}
