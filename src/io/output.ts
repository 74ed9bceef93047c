// Writing results to disk (Node only): whole or not at all. Data goes to a temporary file beside its place, which then takes
// the name; a failure, an abort or the end of the process removes it. A folder of frames changes in one go likewise.

import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { access, constants, mkdir, mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { encodeApng } from "./apng.js";
import { messageOf } from "./errors.js";
import { checkClip, frameOf, type Clip } from "./frames.js";
import { encodeVideo, findEncoder, type VideoFormat } from "./ffmpeg.js";
import { encodeGif } from "./gif.js";
import { encodePng } from "./png.js";
import { recipeTexts, type Recipe } from "./recipe.js";
import { encodeWebp, loadSharp } from "./sharp-pictures.js";

/** A result that cannot be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the folder does not exist; create it first",
  ENOTDIR: "a part of the path is a file, not a folder",
  EACCES: "no permission to write there",
  EPERM: "no permission to write there",
  EROFS: "the file system is read-only",
  EISDIR: "it is a folder; end the path with / to write single frames into it",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file system cannot hold a file this large",
  ENAMETOOLONG: "the name is too long",
};

function explain(path: string, error: unknown): OutputError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return new OutputError(`cannot write ${path}: ${REASONS[code] ?? messageOf(error)}`, { cause: error });
}

/** What an output path asks for: by suffix, or a folder of frames where it ends in a slash. */
export type OutputFormat = "apng" | "gif" | "webp" | VideoFormat | "frames";

/** @throws OutputError for a suffix that is not written. */
export function outputFormat(path: string): OutputFormat {
  if (/[/\\]$/.test(path)) return "frames";
  const suffix = extname(path).toLowerCase();
  if (suffix === ".png" || suffix === ".apng") return "apng";
  if (suffix === ".gif") return "gif";
  if (suffix === ".webp") return "webp";
  if (suffix === ".mp4") return "mp4";
  if (suffix === ".webm") return "webm";
  throw new OutputError(
    `cannot write ${path}: ${suffix === "" ? "it has no suffix" : `the suffix ${suffix} is not written`}; use .png (animated), .gif, .webp, .mp4, .webm, or a folder with / at its end`,
  );
}

/** Fails early where `path` could not be written. @throws OutputError */
export async function checkWritable(path: string): Promise<void> {
  const folder = /[/\\]$/.test(path) ? path : dirname(path);
  try {
    if (folder === path) await mkdir(path, { recursive: true });
    else if (
      await stat(path).then(
        (s) => s.isDirectory(),
        () => false,
      )
    )
      throw Object.assign(new Error(), { code: "EISDIR" });
    if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw explain(path, error);
  }
}

/** Fails early where what writes this format is missing: the package sharp, the program ffmpeg or its encoder. @throws OutputError */
export async function checkWriter(path: string): Promise<void> {
  const format = outputFormat(path);
  if (format === "webp") await loadSharp(`writing ${path}`).catch(asOutputError);
  if (format === "mp4" || format === "webm") await findEncoder(`writing ${path}`, format).catch(asOutputError);
}

function asOutputError(error: unknown): never {
  throw new OutputError(messageOf(error), { cause: error });
}

export interface WriteOptions {
  readonly signal?: AbortSignal;
}

const unfinished = new Set<string>();

function removeUnfinished(): void {
  for (const path of unfinished) rmSync(path, { force: true });
}

/**
 * Gives `produce` the path of a temporary file beside `path`, which then takes its name: readers see the old file or the new
 * one, never a part.
 * @throws OutputError, the signal's reason, or what `produce` throws; nothing is left behind then
 */
export async function atomically(
  path: string,
  produce: (temporary: string) => Promise<void>,
  options: WriteOptions = {},
): Promise<void> {
  const temporary = join(
    dirname(path),
    `.${basename(path)}.${process.pid}-${Math.random().toString(36).slice(2, 8)}.tmp`,
  );
  if (unfinished.size === 0) process.once("exit", removeUnfinished);
  unfinished.add(temporary);
  try {
    await produce(temporary);
    options.signal?.throwIfAborted();
    await rename(temporary, path).catch((error: unknown) => {
      throw explain(path, error);
    });
  } catch (error) {
    // The error is the first one, also where there is nothing to remove.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    unfinished.delete(temporary);
    if (unfinished.size === 0) process.off("exit", removeUnfinished);
  }
}

/**
 * Writes a file whole or not at all.
 * @throws OutputError, or the signal's reason; nothing is left behind then
 */
export async function writeAtomically(
  path: string,
  data: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  return atomically(path, (temporary) => writeData(path, temporary, data, options), options);
}

async function writeData(
  path: string,
  temporary: string,
  data: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: WriteOptions,
): Promise<void> {
  const file = await open(temporary, "wx").catch((error: unknown) => {
    throw explain(path, error);
  });
  try {
    for await (const piece of data instanceof Uint8Array ? [data] : data) {
      options.signal?.throwIfAborted();
      for (let done = 0; done < piece.length;) {
        const { bytesWritten } = await file.write(piece, done, piece.length - done).catch((error: unknown) => {
          throw explain(path, error);
        });
        done += bytesWritten;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** How a clip is written. */
export interface ClipOptions extends WriteOptions {
  readonly fps: number;
  readonly recipe?: Recipe;
}

/** File name of a frame in a folder. */
export function frameName(index: number): string {
  return `frame-${String(index).padStart(4, "0")}.png`;
}

/**
 * Writes a clip in the format its path asks for (`outputFormat`): the recipe goes into the file, or into every frame.
 * In a folder, frames left from a longer clip are removed.
 * @throws OutputError
 */
export async function writeClip(path: string, clip: Clip, options: ClipOptions): Promise<void> {
  checkClip(clip);
  const texts = options.recipe ? recipeTexts(options.recipe) : {};
  const { fps, signal } = options;
  const write: WriteOptions = signal ? { signal } : {};
  const format = outputFormat(path);
  switch (format) {
    case "apng":
      return writeAtomically(path, await encodeApng(clip, { fps, texts, ...write }), write);
    case "gif":
      return writeAtomically(path, encodeGif(clip, { fps, texts, ...write }), write);
    case "webp":
      return writeAtomically(path, await encodeWebp(clip, { fps, texts, ...write }).catch(asOutputError), write);
    case "mp4":
    case "webm":
      return atomically(path, (temporary) => encodeVideo(temporary, format, clip, { fps, texts, ...write }), write);
    case "frames":
      return writeFrames(path, clip, texts, write);
  }
}

async function writeFrames(
  folder: string,
  clip: Clip,
  texts: Readonly<Record<string, string>>,
  options: WriteOptions,
): Promise<void> {
  await checkWritable(folder);
  const made = await mkdtemp(join(folder, ".frames-")).catch((error: unknown) => {
    throw explain(folder, error);
  });
  const remove = (): void => rmSync(made, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    for (let i = 0; i < clip.count; i++) {
      options.signal?.throwIfAborted();
      const name = frameName(i);
      await writeData(join(folder, name), join(made, name), await encodePng(frameOf(clip, i), texts), options);
    }
    options.signal?.throwIfAborted();
    replaceFrames(folder, made, clip.count);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

/** The frames in `made` take the place of all those in `folder`: nothing else runs meanwhile, and what fails is undone. */
function replaceFrames(folder: string, made: string, count: number): void {
  const old = join(made, "old");
  const moved: (readonly [from: string, to: string])[] = [];
  const move = (from: string, to: string): void => {
    try {
      renameSync(from, to);
    } catch (error) {
      throw explain(to, error);
    }
    moved.push([from, to]);
  };
  try {
    mkdirSync(old);
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const index = /^frame-(\d{4,})\.png$/.exec(entry.name)?.[1];
      if (index === undefined || entry.name !== frameName(Number(index)) || entry.isDirectory()) continue;
      move(join(folder, entry.name), join(old, entry.name));
    }
    for (let i = 0; i < count; i++) move(join(made, frameName(i)), join(folder, frameName(i)));
  } catch (error) {
    for (const [from, to] of moved.toReversed()) renameSync(to, from);
    throw error;
  }
}
