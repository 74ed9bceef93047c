// kineograph demo: the bundled model's animation as an animated PNG and a GIF, and what it took.

import { seconds, table } from "./format.js";
import { produce } from "./run.js";
import type { RunArguments } from "./options.js";
import { Terminal } from "./terminal.js";

/** What the bundled model animates unless told otherwise. */
export const DEMO_PROMPT = "a red star moving left on a night sky";

export async function demo(prompt: string = DEMO_PROMPT, a: RunArguments): Promise<void> {
  const terminal = new Terminal({ quiet: a.quiet });
  terminal.say(`Animating “${prompt}”`);
  const { report, written } = await produce(
    prompt,
    a,
    a.output === undefined ? ["kineograph-demo.png", "kineograph-demo.gif"] : [a.output],
    terminal,
  );
  if (a.json) {
    console.log(JSON.stringify(report));
    return;
  }
  const stages = (["load", "text", "denoise", "decode", "encode", "total"] as const).map((stage) => [
    stage,
    seconds(report.seconds[stage]),
  ]);
  console.log(
    `\n${report.frames} frames of ${report.width}x${report.height} in ${report.steps} steps on ${report.adapter}`,
  );
  console.log(table(stages, [false, true]));
  console.log(`\nWrote ${written.join(" and ")}: open them in a browser.`);
}
