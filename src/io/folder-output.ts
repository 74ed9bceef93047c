// Writing a folder whole or not at all (Node only): into a temporary folder beside its place, which then takes the name.

import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { OutputError, writeAtomically } from "./output.js";

/** A file of the folder; `path` with forward slashes. */
export interface FolderFile {
  readonly path: string;
  readonly data: Uint8Array | (() => AsyncIterable<Uint8Array>);
}

/**
 * Writes a folder. What is at `path` must be absent or empty, unless `replace` says that it may go.
 * @throws OutputError, or the signal's reason; nothing is left behind then, and what was there stays
 */
export async function writeFolder(
  path: string,
  files: readonly FolderFile[],
  { signal, replace = false }: { readonly signal?: AbortSignal; readonly replace?: boolean } = {},
): Promise<void> {
  const target = resolve(path);
  const there = await stat(target).catch(() => undefined);
  if (there && !there.isDirectory()) throw new OutputError(`cannot write ${path}: a file is there`);
  if (there && !replace && (await readdir(target)).length > 0)
    throw new OutputError(`cannot write ${path}: the folder is not empty`);
  const temporary = await mkdtemp(join(dirname(target), `.${basename(target)}.`)).catch((cause: unknown) => {
    throw new OutputError(`cannot write ${path}: the folder above it does not exist or may not be written`, { cause });
  });
  const remove = (): void => rmSync(temporary, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    const made = join(temporary, "new");
    for (const { path: local, data } of files) {
      const place = join(made, ...local.split("/"));
      await mkdir(dirname(place), { recursive: true });
      await writeAtomically(place, data instanceof Uint8Array ? data : data(), signal ? { signal } : {});
    }
    signal?.throwIfAborted();
    const old = join(temporary, "old");
    if (there) await rename(target, old);
    await rename(made, target).catch(async (cause: unknown) => {
      if (there) await rename(old, target);
      throw new OutputError(`cannot write ${path}`, { cause });
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
    process.off("exit", remove);
  }
}
