// Paths of the command line as folders and byte sources, and the demo model that comes with the package.

import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { ByteSource } from "../io/byte-source.js";
import type { Folder } from "../io/folder.js";
import { openFile, openFolder } from "../io/node-file.js";
import type { SchedulerName } from "../schedulers/index.js";
import { parseHubName, SHORT_NAMES, type HubName, type HubUse } from "../io/hub-names.js";
import { UsageError } from "./failure.js";
import { bytes, elapsed, transfer } from "./format.js";
import type { LoraArgument, RunArguments } from "./options.js";
import type { Terminal } from "./terminal.js";

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
export const DISTILLED: readonly SchedulerName[] = ["lcm", "tcd"];

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

/** Who is told of a download, and what stops it. */
export interface Fetching {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  /** Weights marked fp16 will do. */
  readonly half: boolean;
}

/** What is named by options that take no folder with a config.json. */
const USES: Readonly<Record<string, HubUse>> = {
  "--model": "model",
  "--lora": "file",
  "--ip-adapter": "file",
  "--embedding": "file",
  "--tokenizer": "texts",
};

/** A path, `hf:` name or short name as a folder or a file. @throws Error where there is nothing */
export async function openPath(
  path: string,
  option: string,
  fetching: Fetching,
): Promise<Folder | (ByteSource & { close(): Promise<void> })> {
  const local = await localPath(path, option, fetching);
  return statSync(local).isDirectory() ? openFolder(local) : openFile(local);
}

/** A path or name that must be a file. */
export async function openFileOf(
  path: string,
  option: string,
  fetching: Fetching,
): Promise<ByteSource & { close(): Promise<void> }> {
  return openFile(await localPath(path, option, fetching));
}

/** A path or name that must be a folder. */
export async function openFolderOf(path: string, option: string, fetching: Fetching): Promise<Folder> {
  return openFolder(await localPath(path, option, fetching));
}

/** The name of the hub that is given in place of a path; undefined where there is something at the path. @throws Error where there is neither */
export function hubNameOf(path: string, option: string): HubName | undefined {
  if (existsSync(path)) return undefined;
  const name = parseHubName(path);
  if (!name) throw new Error(`${option} ${path}: there is no such file or folder${didYouMean(path)}`);
  return name;
}

/** Where a path or name lies on this disk, fetched from the hub where it is one of its names and not here yet. */
async function localPath(path: string, option: string, { terminal, signal, half }: Fetching): Promise<string> {
  const name = hubNameOf(path, option);
  if (!name) return path;
  const start = performance.now();
  let first: number | undefined;
  let total = 0;
  const { hubPath } = await import("../io/node-hub.js");
  const local = await hubPath(name, USES[option] ?? "component", {
    half,
    signal,
    onWarning: (text) => terminal.warn(text),
    onProgress: ({ file, loadedBytes, totalBytes }) => {
      first ??= loadedBytes;
      total = totalBytes;
      const note = `${transfer(loadedBytes, totalBytes, start, first)}, ${file}`;
      terminal.progress("download", loadedBytes / totalBytes, note);
    },
  });
  if (total > 0) terminal.done("download", elapsed(start), `${path}, ${bytes(total)}`);
  return local;
}

/** Short names, where a word is given that is no path. */
function didYouMean(path: string): string {
  if (/[\\/.]/.test(path)) return "";
  return `; short names are ${SHORT_NAMES.map((s) => s.name).join(", ")}`;
}
