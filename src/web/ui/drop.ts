// Files that come in by drag and drop, by the clipboard or a file dialog: pictures with a recipe restore its settings,
// everything else is looked through for models.

import type { GivenFile } from "../desk/protocol.js";
import { addFiles, recipeOfFile, storedModels } from "../state/desk.js";
import { give, inputs, startFrom } from "../state/inputs.js";
import { fromRecipe } from "../state/restore.js";
import { settings } from "../state/settings.js";
import { say } from "../state/toasts.js";
import { goTo } from "../state/view.js";

const PICTURE = /\.(a?png|gif|webp|jpe?g|avif|mp4|webm|mov|mkv)$/i;

/** Takes whatever was given. */
export async function takeFiles(files: readonly GivenFile[]): Promise<void> {
  if (files.length === 0) return;
  const [only] = files;
  if (files.length === 1 && only && PICTURE.test(only.path)) return takePicture(only.file);
  goTo("models");
  await addFiles(files);
}

/** Restores the settings that made a clip; what carries none becomes what the next clip starts from. */
async function takePicture(file: File): Promise<void> {
  goTo("create");
  const recipe = await recipeOfFile(file, file.name).catch((error: Error) => error);
  if (recipe instanceof Error) {
    const source = { name: file.name, blob: file };
    if (settings.value.control === "pictures" && !inputs.value.guide) {
      give({ guide: source });
      return say(`The next clip follows ${file.name}.`);
    }
    const { keys = [], likenesses = {} } = inputs.value;
    const bare = settings.value.control === "keys" ? settings.value.keyFrames.findIndex((_, i) => !keys[i]) : -1;
    if (bare >= 0) {
      give({ keys: settings.value.keyFrames.map((_, i) => (i === bare ? source : keys[i])) });
      return say(`Frame ${settings.value.keyFrames[bare]} of the next clip is like ${file.name}.`);
    }
    const blind = settings.value.likenesses.find(({ id }) => (likenesses[id] ?? []).length === 0);
    if (blind) {
      give({ likenesses: { ...likenesses, [blind.id]: [source] } });
      return say(`The next clip is like ${file.name}.`);
    }
    startFrom(source);
    return say(`The next clip starts from ${file.name}.`);
  }
  const { settings: found, missing } = fromRecipe(recipe, await storedModels());
  settings.value = found;
  say(
    missing.length === 0
      ? `Settings restored from ${file.name}.`
      : `Settings restored from ${file.name}; left out, since this page does not have it: ${missing.join(", ")}.`,
  );
}

/** All files of a drop, folders included. The entries must be asked for before the first await. */
export async function droppedFiles(data: DataTransfer): Promise<GivenFile[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((e) => e !== null);
  if (entries.length === 0) return [...data.files].map((file) => ({ path: file.name, file }));
  const found: GivenFile[] = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry: FileSystemEntry, found: GivenFile[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, (e) => reject(e)),
    );
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives a folder in portions, the last of them empty.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, (e) => reject(e)),
    );
    if (some.length === 0) return;
    for (const child of some) await walk(child, found);
  }
}

/** Files of an `<input>`. */
export function chosenFiles(list: FileList | null): GivenFile[] {
  return [...(list ?? [])].map((file) => ({
    path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath,
    file,
  }));
}
