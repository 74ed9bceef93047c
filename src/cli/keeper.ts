// Keeps the state of a run on disk while it goes on, so that it can be interrupted: written whole, some seconds apart, and
// once more when the run ends early; removed when it ends well.

import { rm, stat } from "node:fs/promises";
import { openFile } from "../io/node-file.js";
import { checkWritable, writeAtomically } from "../io/output.js";
import type { StepEvent } from "../pipelines/animatediff.js";
import { decodeRunState, encodeRunState, type RunState } from "../pipelines/run-state.js";
import { Interrupted } from "./failure.js";

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
  #last: RunState | undefined;
  #written: number;
  #onDisk: boolean;

  private constructor(path: string, resumed: RunState | undefined) {
    this.path = path;
    this.resumed = resumed;
    this.#last = resumed;
    this.#onDisk = resumed !== undefined;
    this.#written = performance.now();
  }

  /**
   * For a run that writes `output`: the state is kept beside it, unless `resume` names a file, which is read where it
   * exists. @throws Error where that file holds no state, OutputError where its folder does not take files
   */
  static async open(resume: string | undefined, output: string): Promise<Keeper> {
    if (resume === undefined) return new Keeper(statePath(output), undefined);
    const exists = await stat(resume).then(
      () => true,
      () => false,
    );
    if (!exists) {
      await checkWritable(resume);
      return new Keeper(resume, undefined);
    }
    const file = await openFile(resume);
    try {
      return new Keeper(resume, await decodeRunState(file));
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

  /** Notes a step; writes the state where the last was written a while ago. */
  async step(event: StepEvent): Promise<void> {
    this.#last = await event.state();
    if ((performance.now() - this.#written) / 1000 >= SECONDS_BETWEEN) await this.#write();
  }

  /** After a run that did not end well: what to throw, telling how to go on. */
  async stopped(reason: unknown): Promise<unknown> {
    const last = this.#last;
    if (!last) return reason;
    if (last !== this.resumed) await this.#write();
    const kept = `after step ${last.done}; the same command with --resume ${this.path} goes on from there`;
    if (reason instanceof Interrupted) return new Interrupted(reason.signal, kept);
    return reason instanceof Error
      ? Object.assign(reason, { message: `${reason.message}. The run stopped ${kept}` })
      : reason;
  }

  /** After a run whose result is written: nothing is left. */
  async done(): Promise<void> {
    if (this.#onDisk) await rm(this.path, { force: true });
  }

  async #write(): Promise<void> {
    await writeAtomically(this.path, encodeRunState(this.#last!));
    this.#onDisk = true;
    this.#written = performance.now();
  }
}
