// kineograph generate: a prompt to an animation file, or a file of prompts to many.

import { UsageError } from "./failure.js";
import { bytes, count } from "./format.js";
import { generateMany } from "./jobs.js";
import type { RunArguments } from "./options.js";
import type { JobArguments } from "./options-jobs.js";
import { produce } from "./run.js";
import { Terminal } from "./terminal.js";

export async function generate(prompt: string | undefined, a: RunArguments & JobArguments): Promise<void> {
  const { prompts } = a;
  if (prompts !== undefined && a.resume !== undefined)
    throw new UsageError("--resume goes on with one run; the jobs of --prompts go on by themselves");
  if (prompts !== undefined && prompt === undefined) return generateMany({ ...a, prompts });
  if (prompt === undefined || prompts !== undefined)
    throw new UsageError("generate takes a prompt, or --prompts <file>; one of them");
  if (a.shard !== undefined)
    throw new UsageError("--shard spreads the jobs of --prompts, and has no effect without it");
  const terminal = new Terminal({ quiet: a.quiet });
  const { report } = await produce(prompt, a, [a.output ?? `kineograph-${a.seed ?? 0}.png`], terminal);
  if (a.json) console.log(JSON.stringify(report));
  else {
    if (a.verbose)
      terminal.say(
        `${count(report.dispatches)} dispatches, ${report.pipelines} pipelines, at most ${bytes(report.memory.peakBytes)} on the device`,
      );
    terminal.done("total", report.seconds.total);
    console.log(report.output);
  }
}
