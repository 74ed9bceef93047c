// What a run starts from beside its words: a video of the user's, or one of the clips. Kept while the page is open, and with
// each clip that was made from it.

import { signal } from "@preact/signals";
import { encode } from "./desk.js";
import { facts } from "./engine.js";
import { framesOf, type Clip } from "./history.js";
import type { Settings } from "./defaults.js";
import { controlIn } from "./request.js";
import { change } from "./settings.js";

/** A picture, animation or video. */
export interface Source {
  readonly name: string;
  readonly blob: Blob;
}

export const startSource = signal<Source | undefined>(undefined);

/** Pictures that the clip follows, one for each frame or one for all. */
export const guideSource = signal<Source | undefined>(undefined);

/** Whether something is missing for a clip: its words, what it starts from, what it follows. */
export function lacks(s: Settings): boolean {
  const control = controlIn(s);
  return (
    s.prompt.trim() === "" ||
    (s.mode !== "text" && !startSource.value) ||
    (control === "path" && s.controlPath.length === 0) ||
    (control === "pictures" && !guideSource.value)
  );
}

export function startFrom(source: Source): void {
  startSource.value = source;
  change({ mode: facts.peek()?.imageEncoder ? "image" : "video" });
}

/** Puts a clip in as the video to start from. */
export async function startFromClip(clip: Clip): Promise<void> {
  const frames = await framesOf(clip);
  const fps = clip.settings.fps;
  const blob = await encode({ format: "apng", frames, fps, recipe: clip.recipe });
  startFrom({ name: `the clip “${clip.recipe.prompt}”`, blob });
  change({ width: clip.width, height: clip.height, frames: clip.count, fps });
}
