// Files given to the page, sorted out: which of them are models, of what kind, and which parts of a folder a run would read.
// Only those are stored. Everything is opened as a run would open it, so that what is damaged or foreign is refused here.

import {
  blobSource,
  identify,
  identifyFolder,
  openWeights,
  openWeightsFolder,
  type ByteSource,
  type Folder,
  type Identity,
} from "../../index.js";
import { openModel } from "../../pipelines/model-files.js";
import type { GivenFile, ImportEvent, ImportResult } from "../desk/protocol.js";
import { exclusively, Journal } from "./journal.js";
import { fileAt, type Manifest, type Role } from "./read.js";
import { storeModel, type Incoming } from "./write.js";

type Emit = (event: ImportEvent) => void;

const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin)$/i;
const ROLES: Readonly<Record<string, Role>> = {
  "sd15-single-file": "model",
  "diffusers-folder": "model",
  motion: "motion",
  "unet-motion": "motion",
  lora: "lora",
  vae: "vae",
  controlnet: "control",
  "t2i-adapter": "control",
  "sparse-control": "sparse",
  "ip-adapter": "ip-adapter",
  "image-encoder": "image-encoder",
  "textual-inversion": "embedding",
};

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
  const folder = recording(name, files, read);
  const what = await identifyFolder(folder);
  const role = ROLES[what?.kind ?? "unknown"];
  if (!what || !role || what.kind === "unet-motion")
    throw new Error(
      `${name} is a folder of ${what?.className ?? "unknown files"}, which no setting of this page takes; add a whole model folder, a MotionAdapter, a VAE, a LoRA, a ControlNet, a T2I-Adapter, a SparseCtrl encoder or an image encoder`,
    );
  read.add(what.kind === "diffusers-folder" ? "model_index.json" : "config.json");
  let parameters = 0;
  let description: string;
  if (role === "model") {
    ({ parameters } = await check({ model: folder }));
    description = `diffusers folder (${what.className})`;
  } else {
    const file = await openWeightsFolder(folder);
    const identity = identify(file);
    await file.close();
    ({ parameters, description } = identity);
  }
  return {
    name,
    role,
    description,
    form: "folder",
    parameters,
    files: [...read].toSorted().map((path) => ({ path, file: files.get(path)! })),
  };
}

async function fileModel({ path, file }: GivenFile): Promise<Incoming> {
  const name = path.split("/").pop() ?? path;
  const source = (): ByteSource => blobSource(file, name);
  const weights = await openWeights(source());
  const identity: Identity = identify(weights);
  await weights.close();
  const role = ROLES[identity.kind];
  if (!role) throw new Error(`${name} is ${identity.description}, which no setting of this page takes`);
  if (role === "model") await check({ model: source() });
  return {
    name,
    role,
    description: identity.description,
    form: "file",
    parameters: identity.parameters,
    files: [{ path: name, file }],
  };
}

/** Opens every part of a model as a run would. @throws CheckpointError naming what does not fit */
async function check(sources: { readonly model: Folder | ByteSource }): Promise<{ readonly parameters: number }> {
  const files = await openModel(sources);
  try {
    const entries = Object.values(files.weights).flatMap((w) => [...w.entries()]);
    return { parameters: entries.reduce((n, { shape }) => n + shape.reduce((p, d) => p * d, 1), 0) };
  } finally {
    await files.close();
  }
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
