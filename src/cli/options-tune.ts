// --tune and --no-tune: how kernels are chosen; what they do is tuning.ts's.

import type { Command } from "commander";

/** True with --tune, false with --no-tune. */
export interface TuneArguments {
  readonly tune?: boolean;
}

/** Declares --tune and --no-tune on a verb; `usual`: what it does without either. */
export function addTuneOptions(command: Command, usual: string): Command {
  return command
    .option("--tune", `measure anew which kernels are fastest on this adapter, and keep it (default: ${usual})`)
    .option("--no-tune", "choose kernels by the built-in table alone");
}
