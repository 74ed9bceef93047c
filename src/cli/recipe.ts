// The recipe of a run: the options that make it again, and what documents it.

import type { Recipe } from "../io/recipe.js";
import type { FramesEvent } from "../pipelines/animatediff.js";
import type { ModelInfo } from "../pipelines/load.js";
import { settingsRecipe } from "../pipelines/settings-recipe.js";
import { version } from "../version.js";
import type { RunArguments } from "./options.js";
import { longRecipe } from "./options-long.js";
import type { ModelPaths } from "./sources.js";

/** Everything that made a clip; paths only where they were given, so that a bundled model is found anywhere. */
export function recipeOf(run: {
  readonly result: FramesEvent;
  readonly a: RunArguments;
  readonly paths: ModelPaths;
  readonly info: ModelInfo;
  readonly precision: "f32" | "f16";
}): Recipe {
  const { a, paths, info, precision } = run;
  const { settings: s } = run.result;
  const hashes = Object.entries(info.hashes).map(([part, hash]) => [`${part}Sha256`, hash] as const);
  return {
    prompt: s.prompt,
    ...(paths.bundled ? {} : { model: paths.model }),
    ...(a.motion !== undefined && { motion: a.motion }),
    ...(a.lora && a.lora.length > 0 && { lora: a.lora.map(({ path, weight }) => `${path}:${weight}`) }),
    ...(a.vae !== undefined && { vae: a.vae }),
    ...(a.tokenizer !== undefined && { tokenizer: a.tokenizer }),
    ...settingsRecipe(s, a.fps, precision),
    ...(a.embedding &&
      a.embedding.length > 0 && {
        embedding: a.embedding.map(({ path, name }) => (name === undefined ? path : `${path}:${name}`)),
      }),
    ...(s.vaeTiling && { vaeTiling: true }),
    ...(a.weights !== undefined && a.weights !== precision && { weights: a.weights }),
    ...(a.plainPrompt === true && { plainPrompt: true }),
    ...(s.emphasis !== "scale" && { emphasis: s.emphasis }),
    ...(s.clipSkip > 0 && { clipSkip: s.clipSkip }),
    ...(a.initVideo !== undefined && { initVideo: a.initVideo }),
    ...(s.strength !== undefined && { strength: s.strength }),
    ...(s.enforceSteps && { enforceSteps: true }),
    ...(a.image !== undefined && { image: a.image }),
    ...(a.motionScale !== undefined && { motionScale: a.motionScale }),
    ...(a.colourMatch === false && { noColourMatch: true }),
    ...(a.region && { region: a.region.map((r) => r.text) }),
    ...(a.regionBase !== undefined && { regionBase: a.regionBase }),
    ...(a.control && { control: a.control.map((c) => c.text) }),
    ...(a.controlGuess === true && { controlGuess: true }),
    ...(a.ipAdapter && { ipAdapter: a.ipAdapter }),
    ...(a.ipEncoder && { ipEncoder: a.ipEncoder }),
    ...(a.ipImage && { ipImage: a.ipImage }),
    ...(a.ipScale && { ipScale: a.ipScale.map((s) => s.text) }),
    ...(a.bundledLora === false && { noLora: true }),
    ...longRecipe(a),
    version,
    ...Object.fromEntries(hashes),
    ...(info.embeddings.length > 0 && { embeddingSha256: info.embeddings.map((e) => e.hash) }),
    ...(info.loras.length > 0 && { loraSha256: info.loras.map((l) => l.hash) }),
  };
}
