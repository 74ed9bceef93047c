// Dawn writes to the process's stderr by itself, past Node. On many Linux drivers that includes two lines about limits it
// lowers, which say nothing to a user and have no switch. Looking for adapters is one synchronous native call; around it,
// stderr is led into a file, from which all but those two lines are passed on.
//
// Done only where stderr is a terminal, a pipe, or a file opened for appending: another file would lose its place.

import { closeSync, constants, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isatty } from "node:tty";

const NOISE = /^Warning: maxDynamic(Uniform|Storage)BuffersPerPipelineLayout artificially reduced/;

/** Runs a synchronous native call; returns its result, and what it wrote to stderr, line by line, without the noise. */
export function captureNativeLog<R>(body: () => R): { result: R; lines: string[] } {
  const restore = redirect();
  if (!restore) return { result: body(), lines: [] };
  let lines: string[] = [];
  let result: R;
  try {
    result = body();
  } finally {
    lines = restore();
  }
  return { result, lines };
}

/** Leads file descriptor 2 into a file; the returned function leads it back and says what was written. */
function redirect(): (() => string[]) | undefined {
  if (process.platform !== "linux" || !canReopen()) return undefined;
  let folder: string;
  let saved: number;
  try {
    folder = mkdtempSync(join(tmpdir(), "kineograph-"));
    saved = openSync("/proc/self/fd/2", "a");
  } catch {
    return undefined;
  }
  const log = join(folder, "stderr");
  // The lowest free number is given out: closing 2 and opening puts the file there.
  closeSync(2);
  const fd = openSync(log, "w");
  return () => {
    closeSync(fd);
    openSync(`/proc/self/fd/${saved}`, "a");
    closeSync(saved);
    const lines = readFileSync(log, "utf8").split("\n");
    rmSync(folder, { recursive: true });
    return lines.filter((line) => line !== "" && !NOISE.test(line));
  };
}

/** Whether opening stderr again by name gives the same thing. */
function canReopen(): boolean {
  if (isatty(2) || fstatSync(2).isFIFO()) return true;
  const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync("/proc/self/fdinfo/2", "utf8"))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & constants.O_APPEND) !== 0;
}

/** Passes lines on to stderr. */
export function forward(lines: readonly string[]): void {
  for (const line of lines) writeSync(2, `${line}\n`);
}
