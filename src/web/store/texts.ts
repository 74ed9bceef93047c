// Small texts by name in the Origin Private File System, where workers find them: localStorage is the page's alone. What
// cannot be stored is done without.

import { readText, replaceText } from "./sync.js";

/** Texts in a folder of this name. */
export function storedTexts(folder: string): {
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
} {
  const opened = async () => (await navigator.storage.getDirectory()).getDirectoryHandle(folder, { create: true });
  return {
    read: async (name) => {
      const text = await opened()
        .then((f) => readText(f, name))
        .catch(() => "");
      return text === "" ? undefined : text;
    },
    write: async (name, text) => {
      await opened()
        .then((f) => replaceText(f, name, text))
        .catch(() => undefined);
    },
  };
}
