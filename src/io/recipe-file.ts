// The recipe in any file that Kineograph writes, by its path (Node only): pictures by recipe.ts, videos through ffprobe.

import { readFile } from "node:fs/promises";
import { PictureError } from "./errors.js";
import { videoComments } from "./ffmpeg.js";
import { parseRecipe, readRecipe, RECIPE_KEYWORD, type Recipe } from "./recipe.js";

/** Suffixes of files that may carry a recipe. */
export const RECIPE_FILE = /\.(png|apng|gif|webp|mp4|webm)$/i;

/** @throws PictureError when the file is damaged, of another kind, or carries none */
export async function readRecipeFile(path: string): Promise<Recipe> {
  const bytes = new Uint8Array(await readFile(path));
  if (!isVideo(bytes)) return readRecipe(bytes);
  const comment = (await videoComments(path)).find((c) => c.startsWith(`${RECIPE_KEYWORD} `));
  if (comment === undefined)
    throw new PictureError(
      `${path} carries no recipe: it was not made by Kineograph, or was saved again by another program`,
    );
  return parseRecipe(comment.slice(RECIPE_KEYWORD.length + 1));
}

/** MP4 (an `ftyp` box) or WebM (an EBML header). */
function isVideo(bytes: Uint8Array): boolean {
  const text = String.fromCharCode(...bytes.subarray(0, 8));
  return text.slice(4) === "ftyp" || text.startsWith("\x1a\x45\xdf\xa3");
}
