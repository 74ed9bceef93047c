// What a job left on disk: its clip, or the state it was interrupted in.

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { frameName } from "../io/output.js";
import { readRecipe } from "../io/recipe.js";
import { DEFAULT_FRAMES } from "../io/video.js";
import { statePath } from "./keeper.js";
import type { Job } from "./options-jobs.js";

/** Whether an output is a folder of frames. */
export function isFolder(output: string): boolean {
  return /[/\\]$/.test(output);
}

/** Whether a job's output is there: files are written whole or not at all; of a folder the last frame counts. */
export async function isDone({ output, run }: Job): Promise<boolean> {
  if (!isFolder(output)) return isFile(output);
  const names = await readdir(output).catch((): string[] => []);
  if (!names.includes(frameName(0))) return false;
  const frames = (await recordedFrames(join(output, frameName(0)))) ?? run.frames ?? DEFAULT_FRAMES;
  return names.includes(frameName(frames - 1));
}

/** The state that a job was interrupted in, where there is one. */
export async function stateOf({ output }: Job): Promise<string | undefined> {
  const path = statePath(output);
  return (await isFile(path)) ? path : undefined;
}

/** Frames of the clip that a picture is of, by its recipe: a clip may have fewer than were asked for. */
async function recordedFrames(path: string): Promise<number | undefined> {
  const recipe = await readFile(path)
    .then(readRecipe, () => undefined)
    .catch(() => undefined);
  const frames = recipe?.["frames"];
  return typeof frames === "number" ? frames : undefined;
}

function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (s) => s.isFile(),
    () => false,
  );
}
