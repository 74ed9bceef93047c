// Waiting for a device without taking a core away from it. Dawn's binding for Node asks at every turn of the event loop, one
// right after the other, for as long as anything is awaited; a software adapter wants that core for the work itself. While
// somebody waits here, each turn begins with a nap: short at first, at most a millisecond. Browsers need none of this.

/** Turns that pass at once: what is done already is told within them. */
const AWAKE = 2;
/** Of the time waited so far, the share by which a nap may prolong it; and its bounds in milliseconds. */
const SHARE = 1 / 16;
const SHORTEST = 0.05;
const LONGEST = 1;

/** Whether events come by asking: in Node, not where there is a page. */
const ASKS = "process" in globalThis && !("document" in globalThis) && typeof setImmediate === "function";

/** The waiting for one device. */
export class Patience {
  readonly #cell = ASKS ? new Int32Array(new SharedArrayBuffer(4)) : undefined;
  #waiting = 0;
  #since = 0;
  #turns = 0;
  #napping = false;
  #lost = false;

  constructor(gpu: Pick<GPUDevice, "lost">) {
    // Some promises of a lost device never settle.
    void gpu.lost.then(() => (this.#lost = true));
  }

  /** `work`, awaited. */
  async wait<R>(work: Promise<R>): Promise<R> {
    this.#waiting++;
    this.#since = performance.now();
    this.#turns = 0;
    if (this.#cell && !this.#napping) {
      this.#napping = true;
      setImmediate(this.#turn, this.#cell);
    }
    try {
      return await work;
    } finally {
      this.#waiting--;
    }
  }

  /** A turn of the event loop, and the next one's beginning. */
  readonly #turn = (cell: Int32Array<SharedArrayBuffer>): void => {
    this.#napping = this.#waiting > 0 && !this.#lost;
    if (!this.#napping) return;
    if (++this.#turns > AWAKE) {
      const waited = performance.now() - this.#since;
      Atomics.wait(cell, 0, 0, Math.min(LONGEST, Math.max(SHORTEST, waited * SHARE)));
    }
    setImmediate(this.#turn, cell);
  };
}
