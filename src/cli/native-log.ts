// Dawn writes to the process's stderr by itself, past Node. On many Linux drivers that includes two lines about limits it
// lowers, which say nothing to a user and have no switch. Looking for adapters is one synchronous native call; around it,
// stderr is led into a file, from which all but those two lines are passed on.
//
// Done only where stderr is a terminal, a pipe, or a file opened for appending: another file would lose its place.

import { closeSync, constants, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
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
  let saved: number | undefined;
  let folder: string | undefined;
  try {
    saved = openSync("/proc/self/fd/2", "a");
    folder = mkdtempSync(join(tmpdir(), "kineograph-"));
    closeSync(openSync(join(folder, "stderr"), "w")); // what can fail does so while stderr is open
  } catch {
    if (saved !== undefined) closeSync(saved);
    if (folder !== undefined) rmSync(folder, { recursive: true });
    return undefined;
  }
  const [back, made, log] = [saved, folder, join(folder, "stderr")];
  // The lowest free number is given out: closing 2 and opening puts the file there.
  closeSync(2);
  const fd = openSync(log, "a");
  return () => {
    closeSync(fd);
    openSync(`/proc/self/fd/${back}`, "a");
    closeSync(back);
    const lines = readFileSync(log, "utf8").split("\n");
    rmSync(made, { recursive: true });
    return lines.filter((line) => line !== "" && !NOISE.test(line));
  };
}

/** Whether opening stderr again by name gives the same thing. */
function canReopen(): boolean {
  if (isatty(2) || fstatSync(2).isFIFO()) return true;
  const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync("/proc/self/fdinfo/2", "utf8"))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & constants.O_APPEND) !== 0;
}

/** Passes lines on to stderr, whether it is read or not. */
export function forward(lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${line}\n`);
}
