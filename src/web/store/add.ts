// Files given to the page, sorted out: which of them are models, of what kind, and which parts of a folder a run would read.
// Only those are stored. Everything is opened as a run would open it, so that what is damaged or foreign is refused here.

import { blobSource, type Folder } from "../../index.js";
import type { GivenFile, ImportEvent, ImportResult } from "../desk/protocol.js";
import { describeFile, describeFolder } from "./describe.js";
import { exclusively, Journal } from "./journal.js";
import { fileAt, type Manifest } from "./read.js";
import { storeModel, type Incoming } from "./write.js";

type Emit = (event: ImportEvent) => void;

const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin)$/i;
/** Adds all models among the files. One that cannot be used is refused in a sentence; the others are added all the same. */
export async function addModels(given: readonly GivenFile[], emit: Emit, signal: AbortSignal): Promise<ImportResult> {
  const { folders, singles } = sort(given);
  const added: Manifest[] = [];
  const refused: string[] = [];
  const attempt = async (body: () => Promise<Incoming>): Promise<void> => {
    try {
      added.push(await storeModel(await body(), emit, signal));
    } catch (error) {
      signal.throwIfAborted();
      refused.push((error as Error).message);
    }
  };
  for (const folder of folders) await attempt(() => folderModel(folder));
  for (const single of singles) await attempt(() => fileModel(single));
  if (folders.length + singles.length === 0)
    refused.push(
      "there is no model among these files: expected a checkpoint (.safetensors, .ckpt, .pt, .bin) or a folder in diffusers' layout (model_index.json, or config.json beside its weights)",
    );
  return { added, refused };
}

/**
 * Makes a model of an import whose files are all there.
 * @throws Error saying what it is where no setting takes it; it is removed then
 */
export async function finishImport(id: string): Promise<Manifest> {
  const journal = await Journal.open(id);
  const { name, form, files } = journal.planned;
  return exclusively(id, name, async () => {
    try {
      const given = await Promise.all(
        files.map(async ({ path }) => [path, await (await fileAt(journal.place, path)).getFile()] as const),
      );
      const found =
        form === "folder"
          ? await folderModel({ name, files: new Map(given) })
          : await fileModel({ path: given[0]![0], file: given[0]![1] });
      return await journal.finish(found);
    } catch (error) {
      await journal.remove();
      throw error;
    }
  });
}

interface GivenFolder {
  readonly name: string;
  readonly files: ReadonlyMap<string, File>;
}

/** Whole model folders first, then components' folders, then single files. */
function sort(given: readonly GivenFile[]): {
  readonly folders: readonly GivenFolder[];
  readonly singles: readonly GivenFile[];
} {
  const rest = new Map(given.filter((g) => !/(^|\/)\./.test(g.path)).map((g) => [g.path, g]));
  const folders: GivenFolder[] = [];
  const take = (marker: string) => {
    const markers = [...rest.keys()].filter((p) => p === marker || p.endsWith(`/${marker}`));
    for (const path of markers.toSorted((a, b) => a.length - b.length)) {
      if (!rest.has(path)) continue;
      const prefix = path.slice(0, -marker.length);
      const inside = [...rest.values()].filter((g) => g.path.startsWith(prefix));
      // A config.json alone, or beside single files dropped together with it, makes no folder.
      if (!inside.some((g) => WEIGHTS.test(g.path))) continue;
      folders.push({
        name: prefix.split("/").findLast((part) => part !== "") ?? "model",
        files: new Map(inside.map((g) => [g.path.slice(prefix.length), g.file])),
      });
      for (const g of inside) rest.delete(g.path);
    }
  };
  take("model_index.json");
  take("config.json");
  return { folders, singles: [...rest.values()].filter((g) => WEIGHTS.test(g.path)) };
}

async function folderModel({ name, files }: GivenFolder): Promise<Incoming> {
  const read = new Set<string>();
  const what = await describeFolder(recording(name, files, read));
  const kept = [...read].toSorted().map((path) => ({ path, file: files.get(path)! }));
  return { name, form: "folder", ...what, files: kept };
}

async function fileModel({ path, file }: GivenFile): Promise<Incoming> {
  const name = path.split("/").pop() ?? path;
  const what = await describeFile(name, () => blobSource(file, name));
  return { name, form: "file", ...what, files: [{ path: name, file }] };
}

/** Files as a folder that remembers which of them were asked for. */
function recording(name: string, files: ReadonlyMap<string, File>, read: Set<string>): Folder {
  const find = (path: string): File => {
    const file = files.get(path);
    if (!file) throw new Error(`${name}/${path}: no such file`);
    read.add(path);
    return file;
  };
  return {
    name,
    list: () => Promise.resolve([...files.keys()]),
    open: async (path) => blobSource(find(path), `${name}/${path}`),
    readText: async (path) => find(path).text(),
  };
}
