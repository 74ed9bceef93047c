// The model that comes with the page, as folders over fetched files. Its motion modules and LoRA go with the sampler, as on
// the command line: the distilled ones for LCM and TCD, those from before the distillation for all others.

import { Abort } from "../../gpu/abort.js";
import { blobSource, CheckpointError, type ByteSource, type Folder } from "../../index.js";

/** Paths below models/shapes, from vite.config.ts. */
declare const __MODEL_FILES__: readonly string[];

const PLACE = "models/shapes/";

/** Files fetched so far; a failed one is asked for again. */
const fetched = new Map<string, Promise<Blob>>();

/** One file of the bundled model, whole. Several may wait for it: it comes though one of them is cancelled. */
async function fetchFile(base: string, path: string, signal: AbortSignal): Promise<Blob> {
  let blob = fetched.get(path);
  if (!blob) {
    blob = download(base, path);
    blob.catch(() => fetched.delete(path));
    fetched.set(path, blob);
  }
  using abort = new Abort(signal);
  return await abort.or(blob);
}

async function download(base: string, path: string): Promise<Blob> {
  const url = new URL(PLACE + path.split("/").map(encodeURIComponent).join("/"), base);
  const response = await fetch(url);
  if (!response.ok)
    throw new CheckpointError(
      `the bundled model's file ${path} is not beside this page (${response.status}); copy the whole folder that the build made`,
    );
  return response.blob();
}

/** A folder of the bundled model: "base", "motion-lcm" or "motion-teacher". */
export function bundledFolder(base: string, folder: string, signal: AbortSignal): Folder {
  const paths = __MODEL_FILES__.filter((f) => f.startsWith(`${folder}/`)).map((f) => f.slice(folder.length + 1));
  return {
    name: `${PLACE}${folder}`,
    list: () => Promise.resolve([...paths]),
    open: async (path) => blobSource(await fetchFile(base, `${folder}/${path}`, signal), `${PLACE}${folder}/${path}`),
    readText: async (path) => (await fetchFile(base, `${folder}/${path}`, signal)).text(),
  };
}

/** The LoRA that the distillation made. */
export async function bundledLora(base: string, signal: AbortSignal): Promise<ByteSource> {
  const path = "lcm-lora.safetensors";
  return blobSource(await fetchFile(base, path, signal), PLACE + path);
}
