// Stored models, read: each lies in the Origin Private File System as models/<id>/manifest.json and models/<id>/files/….
// Used by both workers; writing is in write.ts.

import { blobSource, type ByteSource } from "../../io/byte-source.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import type { HubOrigin } from "./journal.js";

/** What a stored model is for. */
export type Role =
  "model" | "motion" | "lora" | "vae" | "control" | "sparse" | "ip-adapter" | "image-encoder" | "embedding";

export interface StoredFile {
  /** Relative, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /** sha256 of each CHUNK bytes, hexadecimal. */
  readonly chunks: readonly string[];
}

export interface Manifest {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** A phrase that says what it is. */
  readonly description: string;
  readonly form: "folder" | "file";
  readonly files: readonly StoredFile[];
  readonly bytes: number;
  readonly parameters: number;
  /** Milliseconds since 1970. */
  readonly added: number;
  /** Where it was downloaded from. */
  readonly hub?: HubOrigin;
}

/** Bytes under one checksum. */
export const CHUNK = 16 * 2 ** 20;

/** The folder of all models; `create` makes it. */
export async function modelsFolder(create = false): Promise<FileSystemDirectoryHandle | undefined> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle("models", { create }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "NotFoundError") return undefined;
    throw error;
  });
}

/** The file at `path` below `folder`. */
export async function fileAt(
  folder: FileSystemDirectoryHandle,
  path: string,
  create = false,
): Promise<FileSystemFileHandle> {
  const parts = path.split("/");
  const name = parts.pop() ?? "";
  let at = folder;
  for (const part of parts) at = await at.getDirectoryHandle(part, { create });
  return at.getFileHandle(name, { create });
}

/** The manifest of a stored model. @throws CheckpointError where it is gone */
export async function readManifest(id: string): Promise<{ manifest: Manifest; folder: FileSystemDirectoryHandle }> {
  const models = await modelsFolder();
  const folder = await models?.getDirectoryHandle(id).catch(() => undefined);
  const manifest = folder && (await manifestIn(folder));
  if (!manifest) throw new CheckpointError("this model is no longer stored in the browser; add its files again");
  return { manifest, folder };
}

/** Folders of models and of imports, by id. */
export async function* foldersOf(
  models: FileSystemDirectoryHandle | undefined,
): AsyncGenerator<readonly [id: string, folder: FileSystemDirectoryHandle]> {
  if (!models) return;
  const entries = models as unknown as { entries(): AsyncIterable<readonly [string, FileSystemHandle]> };
  for await (const [id, entry] of entries.entries())
    if (entry.kind === "directory") yield [id, entry as FileSystemDirectoryHandle];
}

/** The manifest of a whole model; undefined for an import that is not over. */
export async function manifestIn(folder: FileSystemDirectoryHandle): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await (await (await folder.getFileHandle("manifest.json")).getFile()).text()) as Manifest;
  } catch {
    return undefined;
  }
}

/** All stored models, newest first; what was not stored whole is not among them. */
export async function listModels(): Promise<Manifest[]> {
  const found: Manifest[] = [];
  for await (const [, folder] of foldersOf(await modelsFolder())) {
    const manifest = await manifestIn(folder);
    if (manifest) found.push(manifest);
  }
  return found.toSorted((a, b) => b.added - a.added);
}

/** A stored model as the library reads it. */
export async function openStored(id: string): Promise<Folder | ByteSource> {
  const { manifest, folder } = await readManifest(id);
  const files = await folder.getDirectoryHandle("files");
  const open = async (path: string): Promise<ByteSource> => {
    const entry = manifest.files.find((f) => f.path === path);
    if (!entry) throw new CheckpointError(`${manifest.name}/${path}: no such file`);
    const file = await (await fileAt(files, path)).getFile();
    if (file.size !== entry.size)
      throw new CheckpointError(
        `${manifest.name}/${path} has ${file.size} bytes in the browser's storage instead of ${entry.size}; delete the model and add it again`,
      );
    return blobSource(file, manifest.form === "file" ? manifest.name : `${manifest.name}/${path}`);
  };
  if (manifest.form === "file") return open(manifest.files[0]!.path);
  return {
    name: manifest.name,
    list: () => Promise.resolve(manifest.files.map((f) => f.path)),
    open,
    readText: async (path) => {
      const source = await open(path);
      return new TextDecoder().decode(await source.read(0, source.size));
    },
  };
}
