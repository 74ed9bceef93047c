// Options about how prompts are read.

import type { Command } from "commander";
import type { GenerateOptions } from "../pipelines/options.js";
import { integer, oneOf } from "./values.js";

/** Options of this group, as parsed. */
export interface PromptArguments {
  readonly plainPrompt?: boolean;
  readonly emphasis?: "scale" | "mean" | "blend";
  readonly clipSkip?: number;
}

/** Declares the group's options. */
export function addPromptOptions(command: Command): Command {
  return command
    .option(
      "--plain-prompt",
      "the text as it stands: no (word:1.2), [word] or BREAK, and what exceeds the text encoder's length is cut off",
    )
    .option(
      "--emphasis <scale|mean|blend>",
      "how weights act: scale the text's states; also restore their mean; blend from the empty prompt's (default: scale)",
      oneOf("scale", "mean", "blend"),
    )
    .option("--clip-skip <n>", "layers of the text encoder left out at its end (default: 0)", integer(0, 48));
}

/** The pipeline's options of this group; undefined where not given. */
export function promptOptions(a: PromptArguments): {
  [K in keyof PromptArguments]: GenerateOptions[K & keyof GenerateOptions] | undefined;
} {
  return { plainPrompt: a.plainPrompt, emphasis: a.emphasis, clipSkip: a.clipSkip };
}
