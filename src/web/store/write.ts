// Models given to the page, stored: streamed into the Origin Private File System a chunk at a time, each with its checksum.
// What was cut off is gone on with when the same files are given again. Checking and deleting models.

import type { ImportEvent, Usage } from "../desk/protocol.js";
import { exclusively, Journal, listUnfinished, type Planned } from "./journal.js";
import { CHUNK, fileAt, listModels, modelsFolder, readManifest, type Manifest } from "./read.js";
import { checkRoom, noRoom, room } from "./room.js";
import { sha256, withHandle, writeAll } from "./sync.js";

type Emit = (event: ImportEvent) => void;

/** What a model consists of before it is stored. */
export interface Incoming extends Pick<Manifest, "name" | "role" | "description" | "form" | "parameters"> {
  readonly files: readonly { readonly path: string; readonly file: File }[];
}

/**
 * Stores a model, or the rest of it where the beginning is there. What a stop leaves stays there.
 * @throws CheckpointError where there is no room; nothing is left behind then
 */
export async function storeModel(model: Incoming, emit: Emit, signal: AbortSignal): Promise<Manifest> {
  const { name, form } = model;
  const planned: Planned = { name, form, files: model.files.map(({ path, file }) => ({ path, size: file.size })) };
  const bytes = planned.files.reduce((n, f) => n + f.size, 0);
  const begun = (await listUnfinished()).find((u) => !u.hub && outline(u) === outline(planned));
  await checkRoom(name, bytes - (begun?.doneBytes ?? 0));
  const id = begun?.id ?? crypto.randomUUID();
  return exclusively(id, name, async () => {
    const journal = await Journal.open(id, planned);
    try {
      let doneBytes = 0;
      for (const [i, { path, file }] of model.files.entries()) {
        const before = doneBytes;
        await copyIn(journal, i, await fileAt(journal.place, path, true), file, signal, (done) =>
          emit({ name, doneBytes: before + done, totalBytes: Math.max(1, bytes) }),
        );
        doneBytes += file.size;
      }
      return await journal.finish(model);
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "QuotaExceededError")) throw error;
      await journal.remove().catch(() => undefined);
      throw noRoom(name, bytes, error);
    }
  });
}

/** What tells an import from others: the same files given again have the same. */
function outline({ name, form, files }: Planned): string {
  return JSON.stringify([name, form, ...files.map(({ path, size }) => [path, size])]);
}

/** Copies what is not there yet: a chunk that is noted and has the checksum of what was given is there. */
async function copyIn(
  journal: Journal,
  index: number,
  target: FileSystemFileHandle,
  file: File,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<void> {
  await withHandle(target, async (handle) => {
    for (let at = 0, n = 0; at < file.size; at += CHUNK, n++) {
      signal.throwIfAborted();
      const data = new Uint8Array(await file.slice(at, at + CHUNK).arrayBuffer());
      const checksum = await sha256(data);
      const noted = journal.chunks(index)[n];
      if (noted !== checksum || handle.getSize() < at + data.length) {
        if (noted !== undefined) await journal.keepOnly(index, n);
        writeAll(handle, data, at);
        handle.flush();
        await journal.add(index, checksum);
      }
      progress(at + data.length);
    }
    handle.truncate(file.size);
    handle.flush();
  });
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

/** What is stored, and what was begun. */
export async function usage(): Promise<Usage> {
  return { models: await listModels(), unfinished: await listUnfinished(), ...(await room()) };
}
