// Options of many clips: a file of jobs, each a prompt with any of generate's options by name, and which of them to do here.

import { Command, CommanderError } from "commander";
import { messageOf } from "../io/errors.js";
import { UsageError } from "./failure.js";
import { addRunOptions, type RunArguments } from "./options.js";
import { readPromptFile, type PromptLine } from "./prompt-file.js";

/** Options of many clips, as parsed. */
export interface JobArguments {
  readonly prompts?: string;
  readonly shard?: string;
}

/** Declares them on `generate`. */
export function addJobOptions(command: Command): Command {
  return command
    .optionsGroup("Many clips:")
    .option(
      "--prompts <file>",
      'a job a line: a prompt, or {"prompt": "…", "seed": 3, "output": "…", …} with any option by name; --output may have {index}, {seed} and {prompt} in it',
    )
    .option(
      "--shard <i>/<n>",
      "do every n-th job, from the i-th on (default: as SLURM_ARRAY_TASK_ID says); auto/<n> takes i from JOB_COMPLETION_INDEX",
    );
}

/** One clip to make. */
export interface Job {
  /** Its number among all jobs of the file, from 0. */
  readonly index: number;
  readonly line: number;
  readonly prompt: string;
  readonly run: RunArguments;
  readonly output: string;
}

/** Options that one call has, not one job. */
const OF_THE_CALL = new Set(["json", "quiet", "verbose", "device", "prompts", "shard", "resume", "preview", "help"]);

/**
 * The jobs of a file, in its order, with the options of the command line where a job has none of its own.
 * @throws UsageError naming the line and the option
 */
export async function readJobs(path: string, a: RunArguments): Promise<readonly Job[]> {
  const lines = await readPromptFile(path);
  const pattern = a.output ?? "kineograph-{index}-{seed}.png";
  const places = new Map<string, number>();
  return lines.map((line, index): Job => {
    const given = jobArguments(path, line, a);
    const place = (text: string): string => {
      const name = text
        .replaceAll("{index}", String(index).padStart(4, "0"))
        .replaceAll("{seed}", String(given.seed ?? 0))
        .replaceAll("{prompt}", slug(line.prompt));
      const other = places.get(name);
      if (other !== undefined)
        throw new UsageError(
          `--prompts ${path}: lines ${other} and ${line.line} would both write ${name}; put {index} into its name`,
        );
      places.set(name, line.line);
      return name;
    };
    const output = place(given.output ?? pattern);
    const run = given.latentsOut === undefined ? given : { ...given, latentsOut: place(given.latentsOut) };
    return { index, line: line.line, prompt: line.prompt, run, output };
  });
}

/** A text as part of a file name. */
function slug(text: string): string {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.join("-").slice(0, 60).replace(/-$/, "") || "clip";
}

/** A job's options over those of the command line: parsed as if they stood there. */
function jobArguments(path: string, { line, options }: PromptLine, a: RunArguments): RunArguments {
  const where = `--prompts ${path}, line ${line}`;
  const words = Object.entries(options).flatMap(([name, value]) => {
    if (OF_THE_CALL.has(name)) throw new UsageError(`${where}: "${name}" belongs to the command, not to a job`);
    return optionWords(where, name, value);
  });
  const parser = addRunOptions(new Command("job")).exitOverride().allowExcessArguments(false);
  parser.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  try {
    parser.parse(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new UsageError(`${where}: ${messageOf(error).replace(/^error: /, "")}`, { cause: error });
  }
  const own = parser.opts<Record<string, unknown>>();
  const given = Object.entries(own).filter(([name]) => parser.getOptionValueSource(name) === "cli");
  const { output: _pattern, ...shared } = a;
  return { ...shared, ...(Object.fromEntries(given) as Partial<RunArguments>) };
}

/** `"initVideo": "x"` as `--init-video=x`; true as the option alone, false and null as nothing, a list as several. */
function optionWords(where: string, name: string, value: unknown): string[] {
  if (!/^[a-z][a-zA-Z]*$/.test(name))
    throw new UsageError(`${where}: "${name}" is no option; they are named as in a recipe, like "initVideo"`);
  const option = `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
  if (value === null || value === false) return [];
  if (value === true) return [option];
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((v) => {
    if (typeof v !== "string" && typeof v !== "number")
      throw new UsageError(`${where}: "${name}" is ${JSON.stringify(v)}, expected a text, a number, true or a list`);
    return `${option}=${v}`;
  });
}

/** Which jobs are done here: every `count`-th, from `index` (from 0) on. */
export interface Shard {
  readonly index: number;
  readonly count: number;
  /** Where it was said. */
  readonly source: string;
}

/** @throws UsageError where it cannot be made out */
export function shardOf(
  text: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Shard | undefined {
  const slurm = env["SLURM_ARRAY_TASK_ID"];
  const pod = env["JOB_COMPLETION_INDEX"];
  const [, first, n] = /^(\d+|auto)\/(\d+)$/.exec(text ?? "") ?? [];
  if (text !== undefined && (n === undefined || Number(n) < 1))
    throw new UsageError(`--shard ${text}: expected <i>/<n> with i from 1 to n, like 3/8, or auto/<n>`);
  const count = n === undefined ? undefined : Number(n);
  if (first !== undefined && first !== "auto") {
    const index = Number(first) - 1;
    if (index < 0 || index >= count!) throw new UsageError(`--shard ${text!}: i is from 1 to ${count}`);
    return { index, count: count!, source: "--shard" };
  }
  if (slurm !== undefined) {
    const [min, step] = [Number(env["SLURM_ARRAY_TASK_MIN"] ?? 0), Number(env["SLURM_ARRAY_TASK_STEP"] ?? 1)];
    return checked((Number(slurm) - min) / step, count ?? Number(env["SLURM_ARRAY_TASK_COUNT"]), "SLURM_ARRAY_TASK_ID");
  }
  if (pod !== undefined) {
    if (count === undefined)
      throw new UsageError(
        "JOB_COMPLETION_INDEX says which pod this is, but not of how many; add --shard auto/<completions>, or 1/1 to do all",
      );
    return checked(Number(pod), count, "JOB_COMPLETION_INDEX");
  }
  if (first === "auto")
    throw new UsageError(`--shard ${text!}: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set`);
  return undefined;
}

function checked(index: number, count: number, source: string): Shard {
  if (!Number.isInteger(index) || !Number.isInteger(count) || index < 0 || index >= count)
    throw new UsageError(`${source} gives shard ${index + 1} of ${count}, which is none; say --shard <i>/<n>`);
  return { index, count, source };
}
