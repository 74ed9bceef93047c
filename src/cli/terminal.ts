// What the user sees while a command runs: on a terminal one line that is redrawn, elsewhere a plain line per event,
// nothing with --quiet. Everything goes to stderr; results are printed to stdout by the commands themselves.
// Forty lines of our own: libraries for progress bars bring colours, timers and a dozen styles.

import { seconds } from "./format.js";

/** Where progress is written to; process.stderr in practice. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const CLEAR = "\r\u001b[K";
const BAR = 24;
const FULL = "█";
const EMPTY = "░";

/** Progress and messages of one command. */
export class Terminal {
  readonly #stream: Stream;
  readonly #quiet: boolean;
  /** Whether a line is being redrawn. */
  readonly #live: boolean;
  #drawn = 0;

  constructor({ quiet = false, stream = process.stderr }: { quiet?: boolean | undefined; stream?: Stream } = {}) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#live = stream.isTTY === true && process.env["TERM"] !== "dumb";
  }

  /** The state of something under way: a bar on a terminal; elsewhere nothing, since only ends are worth a line. */
  progress(name: string, share: number, note = ""): void {
    if (this.#quiet || !this.#live) return;
    const now = performance.now();
    if (share < 1 && now - this.#drawn < 50) return; // 20 pictures a second are enough
    this.#drawn = now;
    const full = Math.round(Math.min(1, Math.max(0, share)) * BAR);
    const line = `${name.padEnd(9)} ${FULL.repeat(full)}${EMPTY.repeat(BAR - full)} ${note}`;
    const { columns = 0 } = this.#stream; // some terminals say 0
    this.#stream.write(CLEAR + line.slice(0, (columns > 0 ? columns : 80) - 1));
  }

  /** Redraws at once, whatever was drawn just before. */
  refresh(name: string, share: number, note = ""): void {
    this.#drawn = 0;
    this.progress(name, share, note);
  }

  /** A step that is over: a line where nothing is redrawn. */
  step(text: string): void {
    if (!this.#quiet && !this.#live) this.#stream.write(`${text}\n`);
  }

  /** A stage that is over, with its time. */
  done(name: string, time: number, note = ""): void {
    this.say(`${name.padEnd(9)} ${seconds(time).padStart(8)}${note === "" ? "" : `  ${note}`}`);
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.#quiet) return;
    this.#stream.write(`${this.#live ? CLEAR : ""}${text}\n`);
  }

  /** A warning is shown even when quiet. */
  warn(text: string): void {
    this.#stream.write(`${this.#live && !this.#quiet ? CLEAR : ""}warning: ${text}\n`);
  }

  /** Removes the line that is being redrawn. */
  clear(): void {
    if (!this.#quiet && this.#live) this.#stream.write(CLEAR);
  }
}
