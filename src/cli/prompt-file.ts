// Files of prompts or jobs: one a line, as plain text or as JSON objects (JSON Lines).

import { readFile } from "node:fs/promises";
import { messageOf } from "../io/errors.js";
import { UsageError } from "./failure.js";

/** A line of the file. */
export interface PromptLine {
  /** Where it stands, from 1. */
  readonly line: number;
  readonly prompt: string;
  /** The other keys of a JSON line. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * The lines of a file: `{"prompt": "…", …}` where it begins with a brace, else the prompt itself; empty ones are left out.
 * @throws UsageError naming the file and the line
 */
export async function readPromptFile(path: string): Promise<readonly PromptLine[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new UsageError(`--prompts ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  const lines: PromptLine[] = [];
  for (const [i, raw] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const trimmed = raw.trim();
    if (trimmed === "") continue;
    const line = i + 1;
    lines.push(
      trimmed.startsWith("{") ? { line, ...jsonLine(path, line, trimmed) } : { line, prompt: trimmed, options: {} },
    );
  }
  if (lines.length === 0) throw new UsageError(`--prompts ${path} has no lines`);
  return lines;
}

function jsonLine(path: string, line: number, text: string): Omit<PromptLine, "line"> {
  const where = `--prompts ${path}, line ${line}`;
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new UsageError(`${where} is no valid JSON: ${messageOf(error)}`, { cause: error });
  }
  const { prompt, ...options } = value;
  if (typeof prompt !== "string") throw new UsageError(`${where} has no "prompt", which is a text`);
  return { prompt, options };
}
