// Paths of the command line as folders and byte sources, and the demo model that comes with the package.

import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ByteSource } from "../io/byte-source.js";
import type { Folder } from "../io/folder.js";
import { openFile, openFolder } from "../io/node-file.js";
import type { SchedulerName } from "../schedulers/index.js";
import { UsageError } from "./failure.js";
import { notYet } from "./later.js";
import type { LoraArgument, RunArguments } from "./options.js";

/** Where a run's weights come from, as paths. */
export interface ModelPaths {
  readonly model: string;
  readonly motion?: string;
  readonly loras: readonly LoraArgument[];
  readonly vae?: string;
  readonly tokenizer?: string;
  /** Whether `model` is the bundled one. */
  readonly bundled: boolean;
}

/** Folder of the bundled model, seen from this file as built: dist/src/cli/. */
function bundledFolder(): string {
  return fileURLToPath(new URL("../../../models/shapes/", import.meta.url));
}

/** Samplers for which the distilled weights are made. */
const DISTILLED: readonly SchedulerName[] = ["lcm", "tcd"];

/**
 * The paths of a run. The bundled model brings its motion modules and, for the samplers it was distilled for, its LoRA;
 * other samplers get the motion modules from before the distillation.
 */
export function modelPaths(a: RunArguments): ModelPaths {
  const own = {
    loras: a.lora ?? [],
    ...(a.vae !== undefined && { vae: a.vae }),
    ...(a.tokenizer !== undefined && { tokenizer: a.tokenizer }),
  };
  if (a.model !== undefined) {
    if (a.bundledLora === false)
      throw new UsageError(
        "--no-lora leaves out the bundled model's own LoRA; with --model there is none, and LoRAs are those given by --lora",
      );
    return { ...own, model: a.model, ...(a.motion !== undefined && { motion: a.motion }), bundled: false };
  }
  const root = bundledFolder();
  const distilled = DISTILLED.includes(a.scheduler ?? "lcm");
  const lora = `${root}lcm-lora.safetensors`;
  return {
    ...own,
    model: `${root}base`,
    motion: a.motion ?? `${root}${distilled ? "motion-lcm" : "motion-teacher"}`,
    loras: distilled && a.bundledLora !== false ? [{ path: lora, weight: 1 }, ...own.loras] : own.loras,
    bundled: true,
  };
}

/** A path as a folder or a file. @throws UsageError where there is nothing */
export async function openPath(
  path: string,
  option: string,
): Promise<Folder | (ByteSource & { close(): Promise<void> })> {
  check(path, option);
  return statSync(path).isDirectory() ? openFolder(path) : openFile(path);
}

/** A path that must be a file. */
export async function openFileOf(path: string, option: string): Promise<ByteSource & { close(): Promise<void> }> {
  check(path, option);
  return openFile(path);
}

/** A path that must be a folder. */
export async function openFolderOf(path: string, option: string): Promise<Folder> {
  check(path, option);
  return openFolder(path);
}

function check(path: string, option: string): void {
  if (path.startsWith("hf:"))
    throw notYet(`downloading (${option} ${path})`, "download the files and name them by path");
  if (!existsSync(path)) throw new Error(`${option} ${path}: there is no such file or folder`);
}
