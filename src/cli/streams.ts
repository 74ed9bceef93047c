// What the command line writes to may go away before it (`kineograph … 2>&1 | head`).

import type { Writable } from "node:stream";

/** A stream of messages whose reader may go away: the work goes on, unheard. */
export function outlive(stream: Writable): void {
  stream.on("error", () => undefined);
}

/** Resolves when everything written to a stream has left the process, or nobody reads it any more. */
export function flushed(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}
