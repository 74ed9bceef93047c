// Recipes: into files and out again, and as commands that a real shell reads back word by word.

import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { encodeApng } from "../../src/io/apng.js";
import { encodeGif } from "../../src/io/gif.js";
import { parseRecipe, readRecipe, recipeTexts, recipeToCommand, shellQuote, type Recipe } from "../../src/io/recipe.js";
import { movingSquare } from "./clip.js";

const recipe: Recipe = {
  prompt: "a fox's “tail”, $HOME `x` \\ \n日本",
  negative: "-blurry",
  seed: "18446744073709551615",
  steps: 4,
  guidance: 1.5,
  size: "128x128",
  fps: 12.5,
  lora: ["a b.safetensors:0.5", "c.safetensors"],
  plainPrompt: true,
  lowMemory: false,
  originalSteps: 50,
  modelSha256: "00ff",
  version: "1.0.0",
};

/** The words that sh makes of a command. */
function words(command: string): string[] {
  return execFileSync("sh", ["-c", `printf '%s\\0' ${command}`], { encoding: "utf8" })
    .split("\0")
    .slice(0, -1);
}

describe("recipe", () => {
  it("travels in PNG and GIF files", async () => {
    const clip = movingSquare();
    for (const bytes of [
      await encodeApng(clip, { fps: 8, texts: recipeTexts(recipe) }),
      encodeGif(clip, { fps: 8, texts: recipeTexts(recipe) }),
    ])
      expect(await readRecipe(bytes)).toEqual(recipe);
  });

  it("says what is wrong with a file that has none", async () => {
    await expect(readRecipe(await encodeApng(movingSquare(), { fps: 8 }))).rejects.toThrow(/carries no recipe/);
    await expect(readRecipe(new Uint8Array([1, 2, 3]))).rejects.toThrow(/no PNG, GIF or WebP file/);
    expect(() => parseRecipe("{")).toThrow(/no valid JSON/);
    expect(() => parseRecipe("[]")).toThrow(/no JSON object/);
    expect(() => parseRecipe('{"steps":4}')).toThrow(/no prompt/);
    expect(() => parseRecipe('{"prompt":"a","x":{"y":1}}')).toThrow(/value for "x"/);
    expect(Object.getPrototypeOf(parseRecipe('{"prompt":"a","__proto__":"x"}'))).toBe(Object.prototype);
  });

  it("becomes a command that a shell reads back", () => {
    expect(words(recipeToCommand(recipe))).toEqual([
      "kineograph",
      "generate",
      recipe.prompt,
      "--lora",
      "a b.safetensors:0.5",
      "--lora",
      "c.safetensors",
      "--negative=-blurry",
      "--seed",
      "18446744073709551615",
      "--steps",
      "4",
      "--guidance",
      "1.5",
      "--size",
      "128x128",
      "--fps",
      "12.5",
      "--original-steps",
      "50",
      "--plain-prompt",
    ]);
    expect(recipeToCommand({ prompt: "-x", noLora: true, steps: 2 })).toBe(
      "kineograph generate --steps 2 --no-lora -- -x",
    );
  });

  it.each(["", "plain", "two words", "it's", "''", "$(rm -rf /)", "a\nb", "*", "~", "!x", "#y", "a;b", "日本"])(
    "quotes %j for a shell",
    (word) => expect(words(shellQuote(word))).toEqual([word]),
  );
});
