// The recipe of a clip: everything that made it, one flat JSON object, kept in the file itself (PNG text, GIF comment, WebP XMP) under
// the keyword `kineograph`, and turned back into the command that makes it again.

import { messageOf, PictureError } from "./errors.js";
import { gifComments, isGif } from "./gif.js";
import { isPng, pngTexts } from "./png.js";
import { isWebp, webpTexts } from "./webp.js";

/** Keyword of the PNG text and first word of the GIF comment. */
export const RECIPE_KEYWORD = "kineograph";

export type RecipeValue = string | number | boolean | null | readonly (string | number)[];

/**
 * A recipe. Names are those of `kineograph generate`'s options in camel case (`originalSteps`, `clipSkip`, …), beside what
 * only documents: `version`, hashes (`modelSha256`, …), the adapter. Unknown names are kept.
 */
export interface Recipe {
  readonly prompt: string;
  /** A string where it exceeds 2^53. */
  readonly seed?: number | string;
  /** `<width>x<height>` */
  readonly size?: string;
  readonly [name: string]: RecipeValue | undefined;
}

/** Option names of `generate` that a recipe may carry, in the order in which a command lists them. */
const OPTIONS = [
  "model",
  "motion",
  "lora",
  "vae",
  "tokenizer",
  "negative",
  "seed",
  "steps",
  "guidance",
  "scheduler",
  "frames",
  "size",
  "fps",
  "originalSteps",
  "betaEnd",
  "betaSchedule",
  "motionNorm",
  "precision",
  "weights",
  "embedding",
  "plainPrompt",
  "emphasis",
  "clipSkip",
  "initVideo",
  "strength",
  "enforceSteps",
  "image",
  "motionScale",
  "noColourMatch",
  "control",
  "controlGuess",
  "ipAdapter",
  "ipEncoder",
  "ipImage",
  "ipScale",
  "long",
  "context",
  "stride",
  "contextSchedule",
  "freeInit",
  "freeInitFilter",
  "promptAt",
  "region",
  "regionBase",
  "vaeTiling",
  "lowMemory",
] as const;

/** A word as a POSIX shell reads it back. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The command line that makes the clip again. `noLora: true` becomes `--no-lora`. */
export function recipeToCommand(recipe: Recipe): string {
  const words: string[] = [];
  for (const name of OPTIONS) {
    const value = recipe[name];
    const option = `--${name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
    if (value === undefined || value === null || value === false) continue;
    if (value === true) words.push(option);
    else
      for (const item of typeof value === "object" ? value : [value]) {
        const word = String(item);
        // A value that looks like an option has to be joined to its own.
        words.push(...(word.startsWith("-") ? [shellQuote(`${option}=${word}`)] : [option, shellQuote(word)]));
      }
  }
  if (recipe["noLora"] === true) words.push("--no-lora");
  const prompt = shellQuote(recipe.prompt);
  const rest = recipe.prompt.startsWith("-") ? [...words, "--", prompt] : [prompt, ...words];
  return ["kineograph generate", ...rest].join(" ");
}

/** The texts to write into a file for a recipe. */
export function recipeTexts(recipe: Recipe): Readonly<Record<string, string>> {
  return { [RECIPE_KEYWORD]: JSON.stringify(recipe) };
}

/**
 * The recipe in a PNG, GIF or WebP file.
 * @throws PictureError when the file is none of them, is damaged, or carries none
 */
export async function readRecipe(bytes: Uint8Array): Promise<Recipe> {
  let text: string | undefined;
  if (isPng(bytes)) text = (await pngTexts(bytes)).get(RECIPE_KEYWORD);
  else if (isWebp(bytes)) text = webpTexts(bytes).get(RECIPE_KEYWORD);
  else if (isGif(bytes)) {
    const comment = gifComments(bytes).find((c) => c.startsWith(`${RECIPE_KEYWORD} `));
    text = comment?.slice(RECIPE_KEYWORD.length + 1);
  } else throw new PictureError("this is no PNG, GIF or WebP file: recipes are kept in those");
  if (text === undefined)
    throw new PictureError(
      "this picture carries no recipe: it was not made by Kineograph, or was saved again by another program",
    );
  return parseRecipe(text);
}

/** @throws PictureError unless the text is a recipe. */
export function parseRecipe(text: string): Recipe {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PictureError(`its recipe is no valid JSON: ${messageOf(error)}`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PictureError("its recipe is no JSON object");
  const entries = Object.entries(value);
  const bad = entries.find(([, v]) => !isRecipeValue(v));
  if (bad)
    throw new PictureError(
      `its recipe has a value for ${JSON.stringify(bad[0])} that is no text, number or list of them`,
    );
  if (!("prompt" in value) || typeof value.prompt !== "string") throw new PictureError("its recipe has no prompt");
  return {
    ...Object.fromEntries(entries.filter((e): e is [string, RecipeValue] => isRecipeValue(e[1]))),
    prompt: value.prompt,
  };
}

function isRecipeValue(v: unknown): v is RecipeValue {
  if (Array.isArray(v)) return v.every((item) => typeof item === "string" || typeof item === "number");
  return v === null || typeof v === "string" || typeof v === "number" || typeof v === "boolean";
}
