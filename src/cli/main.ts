#!/usr/bin/env node
// The package's `bin`: runs the command line, prints one message for an error, and sets the exit status.

import { messageOf, statusOf } from "./failure.js";
import { program } from "./program.js";
import { flushed, outlive } from "./streams.js";

// A reader of results that went away (`kineograph … | head`) is no error of ours; one of messages ends no work.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
outlive(process.stderr);

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
