// How much work one submit holds: as much as the device is expected to do in TARGET_MS, so that no driver's watchdog (two
// seconds on Windows) fires, a page stays responsive, and a cancelled run stops soon. The speed is measured all along.

import type { Capabilities } from "./limits.js";
import type { Dispatch } from "./work.js";

/** A batch is cut when it is expected to run this long. At most two are in flight. */
const TARGET_MS = 40;
/** First guess of the speed, in FLOP per millisecond. */
const FIRST_GUESS = { cpu: 4e6, gpu: 1e9 };
/** What moving a byte costs, in FLOP: arithmetic intensity at which such devices turn from memory to arithmetic. */
const BYTE = { cpu: 1, gpu: 16 };

/** The slowest speed that is believed, as a share of the first guess: a first dispatch is compiled while it runs. */
const SLOWEST = 1 / 1000;

/** Learns the speed of a device and bounds batches by it. */
export class Pace {
  readonly #perByte: number;
  readonly #least: number;
  #rate: number;

  constructor({ kind }: Capabilities) {
    this.#perByte = BYTE[kind];
    this.#rate = FIRST_GUESS[kind];
    this.#least = FIRST_GUESS[kind] * SLOWEST;
  }

  /** What a dispatch costs, in units of FLOP: its arithmetic or its memory traffic, whichever takes longer. */
  cost({ flops, bytes }: Pick<Dispatch, "flops" | "bytes">): number {
    return Math.max(flops, bytes * this.#perByte);
  }

  /** Cost of a full batch. */
  get budget(): number {
    return this.#rate * TARGET_MS;
  }

  /**
   * A batch of this cost ran for `ms`. Slower than thought is believed at once, for the watchdog's sake; faster by and by.
   * Of a small batch's time most is not its work: it counts only where it took long.
   */
  observe(cost: number, ms: number): void {
    if (cost <= 0 || ms <= 0 || (cost < this.budget / 4 && ms < TARGET_MS)) return;
    const rate = cost / ms;
    this.#rate = Math.max(this.#least, this.#rate + (rate < this.#rate ? 0.7 : 0.3) * (rate - this.#rate));
  }
}
