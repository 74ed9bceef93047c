// The model that the jobs of a list share, and the device it is on: loaded when a job wants another than there is, opened
// when the last one was lost.

import type { Device } from "../gpu/device.js";
import type { Choices } from "../gpu/tuning.js";
import { openAdapter } from "./adapters.js";
import { loadingOf } from "./job-groups.js";
import type { RunArguments } from "./options.js";
import { ipArguments } from "./options-ip.js";
import { openSession, type Session } from "./session.js";
import type { Terminal } from "./terminal.js";

/** Encodings of prompts kept for the jobs to come. */
const KEPT_TEXTS = 32;

/** A session for one job after another. */
export class SharedModel implements Disposable {
  readonly #adapter: string | undefined;
  readonly #terminal: Terminal;
  #device: Device | undefined;
  #session: Session | undefined;
  /** What the session was loaded by. */
  #loading: string | undefined;
  /** The kernels that were chosen for it. */
  #choices: Choices = {};

  /** On the adapter that `--device` means. */
  constructor(adapter: string | undefined, terminal: Terminal) {
    this.#adapter = adapter;
    this.#terminal = terminal;
  }

  /** The device, opened where there is none yet or the last was lost: nothing on that one can be used any more. */
  async device(): Promise<Device> {
    if (this.#device?.isLost === true) this[Symbol.dispose]();
    if (this.#device) return this.#device;
    this.#device = await openAdapter(this.#adapter);
    this.#terminal.say(`adapter   ${this.#device.capabilities.name}`);
    return this.#device;
  }

  /**
   * The model that `run` wants, `encoder`: with the VAE's; and the seconds that it took to load, 0 where it was there. What
   * the device's memory is at most counts from here on.
   */
  async session(
    run: RunArguments,
    signal: AbortSignal,
    encoder: boolean,
  ): Promise<{ readonly session: Session; readonly loadSeconds: number }> {
    const device = await this.device();
    const loading = loadingOf(run);
    const there = this.#loading === loading ? this.#session : undefined;
    if (!there) this.#close();
    there?.controls.keep(
      (run.control ?? []).map((c) => c.model),
      ipArguments(run),
    );
    device.trim();
    device.pool.resetPeaks();
    if (there) {
      device.tuning.adopt(this.#choices); // a run that went on with another did so with that one's
      return { session: there, loadSeconds: 0 };
    }
    const session = await openSession(device, run, this.#terminal, signal, encoder);
    session.pipeline.keepTexts(KEPT_TEXTS);
    [this.#session, this.#loading, this.#choices] = [session, loading, device.tuning.choices];
    return { session, loadSeconds: session.seconds };
  }

  [Symbol.dispose](): void {
    this.#close();
    this.#device?.dispose();
    this.#device = undefined;
  }

  #close(): void {
    this.#session?.[Symbol.dispose]();
    [this.#session, this.#loading] = [undefined, undefined];
  }
}
