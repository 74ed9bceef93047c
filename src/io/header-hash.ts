// A short fingerprint of a checkpoint: enough to tell files apart in a recipe, without reading gigabytes.

import type { WeightFile } from "./weight-files.js";

/** sha256 over the names, types and shapes of a checkpoint's tensors, in file order; 64 hexadecimal digits. */
export async function headerHash(file: WeightFile): Promise<string> {
  const text = [...file.entries()].map((e) => `${e.name} ${e.dtype} ${e.shape.join("x")}\n`).join("");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}
