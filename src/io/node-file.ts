// Files and folders on a disk (Node only; nothing but src/node.ts and the command line imports this).

import { open, readFile, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { checkRange, type ByteSource } from "./byte-source.js";
import { CheckpointError, messageOf } from "./errors.js";
import { plainPath, type Folder } from "./folder.js";

/** Bytes per read call; the kernel caps one at 2 GiB. */
const MAX_READ = 2 ** 30;

function explain(path: string, error: unknown): CheckpointError {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const why =
    code === "ENOENT"
      ? "no such file"
      : code === "EACCES" || code === "EPERM"
        ? "no permission to read it"
        : code === "EISDIR"
          ? "it is a folder"
          : code === "EMFILE"
            ? "too many files are open"
            : messageOf(error);
  return new CheckpointError(`${path}: ${why}`, { cause: error });
}

/**
 * A file, read by ranges; close it after use. A read after that opens it again, if it is still the same file (LoRAs are
 * changed by merging from the base once more), and wants another close.
 * @throws CheckpointError when it is not there, is a folder or may not be read.
 */
export async function openFile(path: string): Promise<ByteSource & { close(): Promise<void> }> {
  const openHandle = async (): Promise<FileHandle> =>
    open(path, "r").catch((error: unknown) => {
      throw explain(path, error);
    });
  const first = await openHandle();
  const info = await first.stat();
  if (!info.isFile()) {
    await first.close();
    throw new CheckpointError(`${path}: ${info.isDirectory() ? "it is a folder" : "it is no regular file"}`);
  }
  let opened: Promise<FileHandle> | undefined = Promise.resolve(first);
  const reopen = async (): Promise<FileHandle> => {
    const handle = await openHandle();
    const now = await handle.stat();
    if (now.size === info.size && now.mtimeMs === info.mtimeMs) return handle;
    await handle.close();
    throw new CheckpointError(`${path}: the file was changed since it was opened; load the model again`);
  };
  const source: ByteSource & { close(): Promise<void> } = {
    name: path,
    size: info.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      opened ??= reopen().catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      const handle = await opened;
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle
          .read(bytes, done, Math.min(length - done, MAX_READ), offset + done)
          .catch((error: unknown) => {
            throw explain(path, error);
          });
        if (bytesRead === 0) throw new CheckpointError(`${path}: the file became shorter while it was read`);
        done += bytesRead;
      }
      return bytes;
    },
    async close() {
      const handle = opened;
      opened = undefined;
      await (await handle)?.close();
    },
  };
  return source;
}

/** Levels below a model folder that are looked into. */
const MAX_DEPTH = 4;

/**
 * A folder; links are followed (the Hugging Face cache is made of them), hidden entries left out.
 * @throws CheckpointError when it is not there or no folder.
 */
export async function openFolder(path: string): Promise<Folder> {
  const root = resolve(path);
  const info = await stat(root).catch((error: unknown) => {
    throw explain(path, error);
  });
  if (!info.isDirectory()) throw new CheckpointError(`${path}: it is no folder`);
  const walk = async (below: string, depth: number): Promise<string[]> => {
    const found: string[] = [];
    for (const name of (await readdir(join(root, below))).toSorted()) {
      if (name.startsWith(".")) continue;
      const at = below === "" ? name : `${below}/${name}`;
      const entry = await stat(join(root, at)).catch(() => undefined);
      if (entry?.isFile()) found.push(at);
      else if (entry?.isDirectory() && depth < MAX_DEPTH) found.push(...(await walk(at, depth + 1)));
    }
    return found;
  };
  return {
    name: path === "." || path === ".." ? basename(root) : path,
    list: () => walk("", 0),
    open: async (file) => openFile(join(root, plainPath(path, file))),
    readText: async (file) =>
      readFile(join(root, plainPath(path, file)), "utf8").catch((error: unknown) => {
        throw explain(join(path, file), error);
      }),
  };
}
