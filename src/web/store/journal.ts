// An import under way, so that it can be gone on with after the page was closed: what is to come (import.json), and the
// checksums of the chunks that are safely there (chunks.txt, a line each, written after its chunk). A whole model has a
// manifest instead.

import { CheckpointError } from "../../io/errors.js";
import { lockOf } from "./locks.js";
import { CHUNK, fileAt, foldersOf, manifestIn, modelsFolder, type Manifest } from "./read.js";
import { readText, replaceText, withHandle, writeAll } from "./sync.js";

/** Where the rest of a download is to be had. */
export interface HubOrigin {
  /** hf:owner/name[@revision][/path] */
  readonly name: string;
  readonly repo: string;
  readonly commit: string;
  /** The folder in the repository that files' paths are relative to; "" for its top. */
  readonly folder: string;
  readonly endpoint: string;
}

export interface PlannedFile {
  /** Relative, with forward slashes. */
  readonly path: string;
  readonly size: number;
  /** Of a download: sha256, or git's sha1 of the file as a blob. */
  readonly checksum?: string;
}

/** What is to be stored. */
export interface Planned {
  readonly name: string;
  readonly form: Manifest["form"];
  readonly files: readonly PlannedFile[];
  /** Undefined: the files were given to the page, and have to be given again. */
  readonly hub?: HubOrigin;
}

/** An import that was cut off, or is under way. */
export interface Unfinished extends Planned {
  readonly id: string;
  readonly bytes: number;
  readonly doneBytes: number;
  /** In this tab or another. */
  readonly underWay: boolean;
}

const HEADER = "import.json";
const CHUNKS = "chunks.txt";

export class Journal {
  readonly id: string;
  readonly planned: Planned;
  /** Where the model's files lie. */
  readonly place: FileSystemDirectoryHandle;
  readonly #folder: FileSystemDirectoryHandle;
  /** By file of the plan. */
  #chunks: string[][];

  private constructor(
    id: string,
    planned: Planned,
    folder: FileSystemDirectoryHandle,
    place: FileSystemDirectoryHandle,
    chunks: string[][],
  ) {
    this.id = id;
    this.planned = planned;
    this.#folder = folder;
    this.place = place;
    this.#chunks = chunks;
  }

  /** Begins an import under a new id, or opens the one that is there under it. */
  static async open(id: string, planned?: Planned): Promise<Journal> {
    const models = (await modelsFolder(true))!;
    const folder = await models.getDirectoryHandle(id, { create: planned !== undefined });
    const place = await folder.getDirectoryHandle("files", { create: true });
    const known = await readPlanned(folder);
    if (known) return new Journal(id, known, folder, place, await readChunks(folder, known));
    if (!planned) throw new CheckpointError("this import is no longer there; add the files again");
    await replaceText(folder, HEADER, JSON.stringify(planned));
    return new Journal(id, planned, folder, place, await readChunks(folder, planned));
  }

  /** Checksums of the chunks of a file that are safely there, from its beginning. */
  chunks(file: number): readonly string[] {
    return this.#chunks[file]!;
  }

  isWhole(file: number): boolean {
    return this.chunks(file).length === Math.ceil(this.planned.files[file]!.size / CHUNK);
  }

  /** Notes chunks of a file that have been written and flushed. */
  async add(file: number, ...checksums: readonly string[]): Promise<void> {
    this.#chunks[file]!.push(...checksums);
    const lines = new TextEncoder().encode(checksums.map((c) => `${file} ${c}\n`).join(""));
    await withHandle(await this.#folder.getFileHandle(CHUNKS, { create: true }), (handle) => {
      writeAll(handle, lines, handle.getSize());
      handle.flush();
    });
  }

  /** Keeps only the first `count` chunks of a file: what follows is to be written anew. */
  async keepOnly(file: number, count: number): Promise<void> {
    this.#chunks = this.#chunks.map((chunks, i) => (i === file ? chunks.slice(0, count) : chunks));
    const lines = this.#chunks.flatMap((chunks, i) => chunks.map((c) => `${i} ${c}\n`));
    await replaceText(this.#folder, CHUNKS, lines.join(""));
  }

  /** All is there: writes the manifest, which makes it a model. */
  async finish(what: Pick<Manifest, "role" | "description" | "parameters">): Promise<Manifest> {
    const { name, form, files: planned, hub } = this.planned;
    const files = planned.map(({ path, size }, i) => ({ path, size, chunks: this.chunks(i) }));
    const bytes = files.reduce((n, f) => n + f.size, 0);
    const { role, description, parameters } = what;
    const added = Date.now();
    const id = this.id;
    const manifest = { id, name, role, description, form, files, bytes, parameters, added, ...(hub && { hub }) };
    await replaceText(this.#folder, "manifest.json", JSON.stringify(manifest));
    for (const entry of [HEADER, CHUNKS]) await this.#folder.removeEntry(entry).catch(() => undefined);
    return manifest;
  }

  async remove(): Promise<void> {
    await (await modelsFolder())?.removeEntry(this.id, { recursive: true });
  }
}

async function readPlanned(folder: FileSystemDirectoryHandle): Promise<Planned | undefined> {
  try {
    return JSON.parse(await readText(folder, HEADER)) as Planned;
  } catch {
    return undefined; // none, or cut off while it was written
  }
}

async function readChunks(folder: FileSystemDirectoryHandle, { files }: Planned): Promise<string[][]> {
  const chunks = files.map((): string[] => []);
  for (const line of (await readText(folder, CHUNKS)).split("\n")) {
    const [, file, checksum] = /^(\d+) ([0-9a-f]{64})$/.exec(line) ?? [];
    if (checksum === undefined) break; // the end, or a line that was cut off
    chunks[Number(file)]?.push(checksum);
  }
  return chunks;
}

/** Does `body` while no other tab writes the same model. @throws CheckpointError where one does */
export function exclusively<R>(id: string, name: string, body: () => Promise<R>): Promise<R> {
  return navigator.locks.request(lockOf(id), { ifAvailable: true }, (lock) => {
    if (!lock) throw new CheckpointError(`${name} is being added already, perhaps in another tab of this page`);
    return body();
  }) as Promise<R>;
}

async function locked(): Promise<(id: string) => boolean> {
  const { held = [] } = await navigator.locks.query();
  const names = new Set(held.map((lock) => lock.name));
  return (id) => names.has(lockOf(id));
}

/** Imports that are not whole. */
export async function listUnfinished(): Promise<Unfinished[]> {
  const underWay = await locked();
  const found: Unfinished[] = [];
  for await (const [id, folder] of foldersOf(await modelsFolder())) {
    if (await manifestIn(folder)) continue;
    const planned = await readPlanned(folder);
    if (!planned) continue;
    const place = await folder.getDirectoryHandle("files");
    const sizes = planned.files.map(async ({ path, size }) => {
      const file = await fileAt(place, path)
        .then((f) => f.getFile())
        .catch(() => undefined);
      return Math.min(size, file?.size ?? 0);
    });
    const sum = (ns: readonly number[]) => ns.reduce((n, m) => n + m, 0);
    found.push({
      ...planned,
      id,
      bytes: sum(planned.files.map((f) => f.size)),
      doneBytes: sum(await Promise.all(sizes)),
      underWay: underWay(id),
    });
  }
  return found;
}

/** Removes what is neither a model nor an import that could be gone on with. */
export async function removeLeftovers(): Promise<void> {
  const models = await modelsFolder();
  const underWay = await locked();
  for await (const [id, folder] of foldersOf(models))
    if (!underWay(id) && !(await manifestIn(folder)) && !(await readPlanned(folder)))
      await models!.removeEntry(id, { recursive: true });
}
