// Options about how prompts are read.

import { InvalidArgumentError, type Command } from "commander";
import type { GenerateOptions } from "../pipelines/options.js";
import { integer, oneOf } from "./values.js";

/** A textual-inversion embedding of the command line. */
export interface EmbeddingArgument {
  readonly path: string;
  readonly name: string | undefined;
}

/** Options of this group, as parsed. */
export interface PromptArguments {
  readonly plainPrompt?: boolean;
  readonly emphasis?: "scale" | "mean" | "blend";
  readonly clipSkip?: number;
  readonly embedding?: readonly EmbeddingArgument[];
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
    .option("--clip-skip <n>", "layers of the text encoder left out at its end (default: 0)", integer(0, 48))
    .option(
      "--embedding <file[:name]>",
      "textual-inversion embedding: prompts call it by its file's name, the name stored in it, or the one given; repeatable",
      collectEmbedding,
    );
}

function collectEmbedding(text: string, before: readonly EmbeddingArgument[] = []): readonly EmbeddingArgument[] {
  // A colon before a slash belongs to the path: hf:owner/name, C:\file.
  const [, path, name] = /^(.+?)(?::([^:/\\]+))?$/.exec(text) ?? [];
  if (path === undefined || name?.trim() === "") throw new InvalidArgumentError("Expected a file, or file:name.");
  return [...before, { path, name }];
}

/** The pipeline's options of this group; undefined where not given. */
export function promptOptions(a: PromptArguments): {
  [K in keyof PromptArguments & keyof GenerateOptions]: GenerateOptions[K] | undefined;
} {
  return { plainPrompt: a.plainPrompt, emphasis: a.emphasis, clipSkip: a.clipSkip };
}
