#!/usr/bin/env node
// The package's `bin`: runs the command line, prints one message for an error, and sets the exit status.

import { messageOf, statusOf } from "./failure.js";
import { program } from "./program.js";

/** Resolves when everything written to a stream has left the process. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0) resolve();
    else stream.once("drain", resolve);
  });
}

// A reader that went away (`kineograph … | head`) is no error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

let status = 0;
try {
  await program().parseAsync();
} catch (error) {
  status = statusOf(error);
  const message = messageOf(error, process.argv.includes("--verbose") || process.argv.includes("-v"));
  if (message !== undefined) process.stderr.write(`${message}\n`);
}
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Dawn's threads would keep the process alive.
process.exit(status);
