// The part of a recipe that a run's settings tell by themselves, the same from the command line and from the browser.

import type { Recipe } from "../io/recipe.js";
import type { Settings } from "./options.js";

/** Sampling, size and rate of a clip, under the names of the command line's options. */
export function settingsRecipe(s: Settings, fps: number, precision: "f32" | "f16") {
  return {
    ...(s.negative !== "" && { negative: s.negative }),
    seed: typeof s.seed === "bigint" ? String(s.seed) : s.seed,
    steps: s.steps,
    guidance: s.guidance,
    scheduler: s.scheduler,
    frames: s.frames,
    size: `${s.width}x${s.height}`,
    fps,
    ...(s.originalSteps !== undefined && { originalSteps: s.originalSteps }),
    ...(s.betaEnd !== undefined && { betaEnd: s.betaEnd }),
    betaSchedule: s.betaSchedule,
    motionNorm: s.motionNorm,
    precision,
  } satisfies Partial<Recipe>;
}
