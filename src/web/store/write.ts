// Stored models, written: files are streamed into the Origin Private File System a chunk at a time, each chunk with its
// checksum; the manifest comes last, so that what was interrupted is no model and its space is given back.

import { CheckpointError } from "../../index.js";
import type { ImportEvent, Usage } from "../desk/protocol.js";
import { CHUNK, fileAt, listModels, modelsFolder, readManifest, type Manifest, type StoredFile } from "./read.js";

/** Workers' synchronous access, which every browser with OPFS has; the DOM's types do not know it. */
interface SyncHandle {
  write(data: Uint8Array, options: { readonly at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

type Emit = (event: ImportEvent) => void;

/** What a model consists of before it is stored. */
export interface Incoming extends Omit<Manifest, "files" | "bytes" | "added" | "id"> {
  readonly files: readonly { readonly path: string; readonly file: File }[];
}

/** Stores a model. @throws CheckpointError where there is no room; nothing is left behind then */
export async function storeModel(model: Incoming, emit: Emit, signal: AbortSignal): Promise<Manifest> {
  const bytes = model.files.reduce((n, f) => n + f.file.size, 0);
  const { freeBytes } = await space();
  if (bytes > freeBytes)
    throw new CheckpointError(
      `${model.name} takes ${gigabytes(bytes)}, but this browser has ${gigabytes(freeBytes)} left for the page; delete stored models, or free disk space`,
    );
  const models = (await modelsFolder(true))!;
  const id = crypto.randomUUID();
  return navigator.locks.request(lockOf(id), () => write(models, id, model, bytes, emit, signal));
}

/** Held while a model is written: what has no manifest and no lock was cut off. */
function lockOf(id: string): string {
  return `kineograph import ${id}`;
}

/** Removes what imports left behind that were cut off, as by closing the page; says whether there was any. */
export async function removeLeftovers(): Promise<boolean> {
  const models = await modelsFolder();
  if (!models) return false;
  const { held = [] } = await navigator.locks.query();
  const whole = new Set((await listModels()).map((m) => m.id));
  let found = false;
  for await (const id of (models as unknown as { keys(): AsyncIterable<string> }).keys()) {
    if (whole.has(id) || held.some((lock) => lock.name === lockOf(id))) continue;
    await models.removeEntry(id, { recursive: true });
    found = true;
  }
  return found;
}

async function write(
  models: FileSystemDirectoryHandle,
  id: string,
  model: Incoming,
  bytes: number,
  emit: Emit,
  signal: AbortSignal,
): Promise<Manifest> {
  const folder = await models.getDirectoryHandle(id, { create: true });
  try {
    const place = await folder.getDirectoryHandle("files", { create: true });
    const files: StoredFile[] = [];
    let before = 0;
    for (const { path, file } of model.files) {
      const progress = (done: number) =>
        emit({ name: model.name, doneBytes: before + done, totalBytes: Math.max(1, bytes) });
      files.push({
        path,
        size: file.size,
        chunks: await copyIn(await fileAt(place, path, true), file, progress, signal),
      });
      before += file.size;
    }
    const manifest: Manifest = { ...model, id, files, bytes, added: Date.now() };
    const text = new TextEncoder().encode(JSON.stringify(manifest));
    await withHandle(await folder.getFileHandle("manifest.json", { create: true }), (handle) => {
      handle.truncate(0);
      handle.write(text, { at: 0 });
      handle.flush();
    });
    return manifest;
  } catch (error) {
    await models.removeEntry(id, { recursive: true }).catch(() => undefined);
    if (error instanceof DOMException && error.name === "QuotaExceededError")
      throw new CheckpointError(
        `the browser's storage is full: ${model.name} takes ${gigabytes(bytes)}; delete stored models, or free disk space`,
        { cause: error },
      );
    throw error;
  }
}

async function copyIn(
  target: FileSystemFileHandle,
  file: File,
  progress: (done: number) => void,
  signal: AbortSignal,
): Promise<string[]> {
  const chunks: string[] = [];
  await withHandle(target, async (handle) => {
    for (let at = 0; at < file.size; at += CHUNK) {
      signal.throwIfAborted();
      const data = new Uint8Array(await file.slice(at, at + CHUNK).arrayBuffer());
      const written = handle.write(data, { at });
      if (written !== data.length) throw new DOMException("the disk took less than it was given", "QuotaExceededError");
      chunks.push(await sha256(data));
      progress(at + data.length);
    }
    handle.flush();
  });
  return chunks;
}

async function withHandle(
  file: FileSystemFileHandle,
  body: (handle: SyncHandle) => Promise<void> | void,
): Promise<void> {
  const handle = await (file as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle();
  try {
    await body(handle);
  } finally {
    handle.close();
  }
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** Paths of a model's files that differ from what was added. */
export async function verifyModel(id: string, emit: Emit, signal: AbortSignal): Promise<string[]> {
  const { manifest, folder } = await readManifest(id);
  const place = await folder.getDirectoryHandle("files");
  const damaged: string[] = [];
  let before = 0;
  for (const { path, size, chunks } of manifest.files) {
    const file = await fileAt(place, path)
      .then((handle) => handle.getFile())
      .catch(() => undefined);
    let whole = file?.size === size;
    for (let at = 0, i = 0; whole && at < size; at += CHUNK, i++) {
      signal.throwIfAborted();
      const data = new Uint8Array(await file!.slice(at, at + CHUNK).arrayBuffer());
      whole = (await sha256(data)) === chunks[i];
      emit({ name: manifest.name, doneBytes: before + at + data.length, totalBytes: Math.max(1, manifest.bytes) });
    }
    if (!whole) damaged.push(path);
    before += size;
  }
  return damaged;
}

export async function removeModel(id: string): Promise<void> {
  await (await modelsFolder())?.removeEntry(id, { recursive: true });
}

async function space(): Promise<{ usedBytes: number; freeBytes: number }> {
  const { usage: used = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: used, freeBytes: Math.max(0, quota - used) };
}

/** What is stored: whole models alone, not what is left of an import that a closed page cut off. */
export async function usage(): Promise<Usage> {
  const models = await listModels();
  return { models, ...(await space()) };
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
