// How a command ends: 0, 1 an error, 2 a wrong call, 130 interrupted (143 terminated). One readable message on stderr.

import { CommanderError } from "commander";

/** A wrong call: exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Ctrl-C or a request to end: exit status 128 + the signal's number. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly signal: "SIGINT" | "SIGTERM";
  readonly status: number;
  /** What there is of the work, and how to go on. */
  readonly kept: string | undefined;

  constructor(signal: "SIGINT" | "SIGTERM", kept?: string) {
    const how = signal === "SIGINT" ? "interrupted" : "terminated";
    super(kept === undefined ? `${how}; nothing was written` : `${how} ${kept}`);
    this.signal = signal;
    this.kept = kept;
    this.status = signal === "SIGINT" ? 130 : 143;
  }
}

const notes = new WeakMap<Error, string>();

/** `error`, of which `note` will be told after its own message: what whoever threw it could not know. */
export function withNote(error: Error, note: string): Error {
  notes.set(error, note);
  return error;
}

/** The exit status of what was thrown. */
export function statusOf(error: unknown): number {
  if (error instanceof Interrupted) return error.status;
  if (error instanceof UsageError) return 2;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return 1;
}

/** The message for stderr; with `verbose` the stack and causes. Commander has printed its own already. */
export function messageOf(error: unknown, verbose: boolean): string | undefined {
  if (error instanceof CommanderError) return undefined;
  if (error instanceof Interrupted) return `kineograph: ${error.message}`;
  if (!(error instanceof Error)) return `kineograph: ${String(error)}`;
  const note = notes.get(error);
  if (!verbose) return `kineograph: ${explain(error)}${note === undefined ? "" : `. ${note}`}`;
  let text = `kineograph: ${error.stack ?? error.message}`;
  for (let e = error.cause; e instanceof Error; e = e.cause) text += `\ncaused by: ${e.stack ?? e.message}`;
  return note === undefined ? text : `${text}\n${note}`;
}

/** Node's own file errors in words. */
function explain(error: Error): string {
  const { code, path } = error as NodeJS.ErrnoException;
  const file = path === undefined ? "" : ` ${path}`;
  switch (code) {
    case "ENOENT":
      return `there is no file or folder${file}`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `no permission for${file || " that file"} (${code}); grant it, or choose another place`;
    case "ENOSPC":
      return `the disk is full${file && `, writing${file}`}; make room there and start again`;
    default:
      return error.message;
  }
}
