// What autotuning found, on disk: one small file an adapter, in the user's cache folder.

import { mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { TuningCache } from "../gpu/tuning.js";
import { writeAtomically } from "./output.js";

/** Files in $XDG_CACHE_HOME/kineograph, else ~/.cache/kineograph. A folder that cannot be written is done without. */
export function nodeTuningCache(env: Readonly<Record<string, string | undefined>> = process.env): TuningCache {
  const home = env["XDG_CACHE_HOME"];
  const folder = join(home === undefined || home === "" ? join(homedir(), ".cache") : home, "kineograph");
  const path = (name: string) => join(folder, `${name}.json`);
  return {
    read: (name) => readFile(path(name), "utf8").catch(() => undefined),
    write: async (name, text) => {
      try {
        await mkdir(folder, { recursive: true });
        await writeAtomically(path(name), new TextEncoder().encode(text));
      } catch {
        // It is measured again next time.
      }
    },
  };
}
