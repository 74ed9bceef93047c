// Options of pictures as prompts: IP-Adapters with their image encoders and pictures, one or several.

import { existsSync } from "node:fs";
import { type Command, InvalidArgumentError } from "commander";
import { UsageError } from "./failure.js";

/** As parsed: the k-th encoder, pictures and scale are the k-th adapter's. */
export interface IpArguments {
  readonly ipAdapter?: readonly string[];
  readonly ipEncoder?: readonly string[];
  readonly ipImage?: readonly string[];
  readonly ipScale?: readonly IpScale[];
}

/** `--ip-scale`. */
export interface IpScale {
  readonly scale: number;
  readonly start: number;
  readonly end: number;
  /** As it was written. */
  readonly text: string;
}

/** An adapter with all that belongs to it. */
export interface IpArgument extends Omit<IpScale, "text"> {
  readonly adapter: string;
  readonly encoder: string;
  readonly images: readonly string[];
}

/** Declares them on a verb. */
export function addIpOptions(command: Command): void {
  command
    .option(
      "--ip-adapter <file>",
      "IP-Adapter for Stable Diffusion 1.5 (standard, light, Plus, Plus Face, Full Face): pictures as prompts, with --ip-encoder and --ip-image; repeatable, what they add is summed",
      collect,
    )
    .option(
      "--ip-encoder <dir>",
      "its CLIP image encoder, a folder with config.json; one for all, or one each",
      collect,
    )
    .option(
      "--ip-image <file>",
      "picture that the clip should be like; repeatable. With several adapters one for each, several pictures separated by commas",
      collect,
    )
    .option(
      "--ip-scale <s[:start-end]>",
      "how much the pictures count, and in which part of the steps (default: 1); one for all, or one each",
      collectScale,
    );
}

/**
 * What belongs to each adapter.
 * @throws UsageError where something is missing, or numbers do not fit each other
 */
export function ipArguments(a: IpArguments): readonly IpArgument[] {
  const { ipAdapter: adapters = [], ipEncoder: encoders = [], ipImage: images = [], ipScale: scales = [] } = a;
  const n = adapters.length;
  const given = { "--ip-adapter": n, "--ip-encoder": encoders.length, "--ip-image": images.length };
  const missing = Object.entries(given).flatMap(([option, count]) => (count === 0 ? [option] : []));
  if (missing.length === 3 && scales.length === 0) return [];
  if (missing.length > 0)
    throw new UsageError(
      `an IP-Adapter takes --ip-adapter, --ip-encoder and --ip-image together; ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} missing`,
    );
  for (const [option, count] of [
    ["--ip-encoder", encoders.length],
    ["--ip-scale", scales.length],
  ] as const)
    if (count > 1 && count !== n)
      throw new UsageError(
        `${count} ${option} for ${n} --ip-adapter; give one for all of them, or one for each in their order`,
      );
  if (n > 1 && images.length !== n)
    throw new UsageError(
      `${images.length} --ip-image for ${n} --ip-adapter; give one for each in their order, several pictures of one separated by commas`,
    );
  const all = { scale: 1, start: 0, end: 1 };
  return adapters.map((adapter, i) => {
    const { scale, start, end } = scales[i] ?? scales[0] ?? all;
    const own = n === 1 ? images : [images[i]!];
    return { adapter, encoder: encoders[i] ?? encoders[0]!, images: own.flatMap(pathsOf), scale, start, end };
  });
}

/** A file, or several separated by commas. */
function pathsOf(text: string): string[] {
  return existsSync(text) ? [text] : text.split(",");
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function collectScale(text: string, before: readonly IpScale[] = []): readonly IpScale[] {
  const [, scale, start, end] = /^([+-]?(?:\d+\.?\d*|\.\d+))(?::(\d*\.?\d+)-(\d*\.?\d+))?$/.exec(text) ?? [];
  if (scale === undefined)
    throw new InvalidArgumentError("Expected a number, or a number with a part of the steps like 0.6:0-0.5.");
  const span = { start: Number(start ?? 0), end: Number(end ?? 1) };
  checkShares(span);
  return [...before, { scale: Number(scale), ...span, text }];
}

/** A part of the steps. @throws InvalidArgumentError where it is none */
export function checkShares({ start, end }: { readonly start: number; readonly end: number }): void {
  if (!(end <= 1 && start < end))
    throw new InvalidArgumentError(
      `It would act from ${start} to ${end} of the steps; expected shares with 0 ≤ start < end ≤ 1.`,
    );
}
