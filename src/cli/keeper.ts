// Keeps the state of a run on disk while it goes on, so that it can be interrupted: written whole, some seconds apart, and
// once more when the run ends early; removed when it ends well.

import { rm, stat } from "node:fs/promises";
import { messageOf } from "../io/errors.js";
import { openFile } from "../io/node-file.js";
import { checkWritable, writeAtomically } from "../io/output.js";
import type { StepEvent } from "../pipelines/animatediff.js";
import { shellQuote } from "../io/recipe.js";
import { decodeRunState, encodeRunState, type RunState } from "../pipelines/run-state.js";
import { Interrupted, withNote } from "./failure.js";

/** Shorter runs leave nothing on disk. */
const SECONDS_BETWEEN = 10;

/** Where the state of a run that writes `output` is kept. */
export function statePath(output: string): string {
  return `${output.replace(/[/\\]+$/, "")}.resume`;
}

/** The state file of one run. */
export class Keeper {
  readonly path: string;
  /** Undefined where the run begins. */
  readonly resumed: RunState | undefined;
  /** The command that goes on with the state. */
  readonly #again: string;
  #last: RunState | undefined;
  /** What the file holds. */
  #kept: RunState | undefined;
  #written = performance.now();
  #warned = false;

  private constructor(path: string, resumed: RunState | undefined, again: string) {
    this.path = path;
    this.resumed = resumed;
    this.#again = again;
    this.#last = resumed;
    this.#kept = resumed;
  }

  /**
   * For a run that writes `output`: the state is kept beside it, unless `resume` names a file, which is read where it
   * exists. `again` is the command that goes on from there. @throws Error where that file holds no state, OutputError where
   * its folder does not take files
   */
  static async open(resume: string | undefined, output: string, again = commandWith(resume, output)): Promise<Keeper> {
    if (resume === undefined) return new Keeper(statePath(output), undefined, again);
    const exists = await stat(resume).then(
      () => true,
      () => false,
    );
    if (!exists) {
      await checkWritable(resume);
      return new Keeper(resume, undefined, again);
    }
    const file = await openFile(resume);
    try {
      return new Keeper(resume, await decodeRunState(file), again);
    } finally {
      await file.close?.();
    }
  }

  /** Where the run begins, in words. */
  get beginning(): string {
    return this.resumed
      ? `after step ${this.resumed.done}, from ${this.path}`
      : `there is no ${this.path} yet: the run begins, and keeps its state there`;
  }

  /** Notes a step; writes the state where the last was written a while ago. A run goes on where that fails: `warn` is told once. */
  async step(event: StepEvent, warn: (text: string) => void): Promise<void> {
    const state = await event.state();
    this.#last = state;
    if ((performance.now() - this.#written) / 1000 < SECONDS_BETWEEN) return;
    await this.#write(state).catch((error: unknown) => {
      if (!this.#warned) warn(`the run's state could not be kept: ${messageOf(error)}; it goes on without`);
      this.#warned = true;
    });
  }

  /** After a run that did not end well: what to throw, telling how to go on. */
  async stopped(reason: unknown): Promise<unknown> {
    const last = this.#last;
    if (!last) return reason;
    if (reason instanceof Interrupted) return new Interrupted(reason.signal, await this.#keep(last));
    // What failed before its first step has nothing new to keep, and the command that would go on is the one that failed.
    if (last === this.resumed || !(reason instanceof Error)) return reason;
    return withNote(reason, `The run stopped ${await this.#keep(last)}`);
  }

  /** After a run whose result is written: nothing is left. */
  async done(): Promise<void> {
    if (this.#kept) await rm(this.path, { force: true });
  }

  /** Keeps the state that a run ends with: where that was, and how to go on. */
  async #keep(state: RunState): Promise<string> {
    const stopped = `after step ${state.done}`;
    try {
      if (state !== this.#kept) await this.#write(state);
      return `${stopped}; ${this.#again} goes on from there`;
    } catch (error) {
      const older = this.#kept ? `; ${this.#again} goes on after step ${this.#kept.done}` : "";
      return `${stopped}; the state could not be kept: ${messageOf(error)}${older}`;
    }
  }

  async #write(state: RunState): Promise<void> {
    this.#written = performance.now();
    await writeAtomically(this.path, encodeRunState(state));
    this.#kept = state;
  }
}

/** What to type to go on with a run of a command's own. */
function commandWith(resume: string | undefined, output: string): string {
  return resume === undefined ? `the same command with --resume ${shellQuote(statePath(output))}` : "the same command";
}
