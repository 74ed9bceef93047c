// What a run reads beside its words: a video or picture to start from, pictures that guide it, pictures that it should be like.
// Kept while the page is open, and with each clip that was made from them.

import { signal } from "@preact/signals";
import type { Settings } from "./defaults.js";
import { encode, usage } from "./desk.js";
import { framesOf, type Clip } from "./history.js";
import { limits } from "./limits.js";
import { controlIn } from "./request.js";
import { change } from "./settings.js";
import { say } from "./toasts.js";

/** A picture, animation or video. */
export interface Source {
  readonly name: string;
  readonly blob: Blob;
}

/** All that a run reads. */
export interface Inputs {
  readonly start?: Source | undefined;
  /** Pictures that the clip follows, one for each frame or one for all. */
  readonly guide?: Source | undefined;
  /** In the order of the settings' key frames. */
  readonly keys?: readonly (Source | undefined)[];
  /** By the id of the IP-Adapter that looks at them. */
  readonly likenesses?: Readonly<Record<string, readonly Source[]>>;
}

/** What is chosen now. */
export const inputs = signal<Inputs>({});

/** How often it was chosen from what to start. */
let choices = 0;

export function give(patch: Inputs): void {
  if ("start" in patch) choices++;
  inputs.value = { ...inputs.value, ...patch };
}

/** Of what is chosen, what a run with these settings reads. */
export function inputsOf(s: Settings): Inputs {
  const { start, guide, keys = [], likenesses = {} } = inputs.peek();
  const control = controlIn(s);
  return {
    ...(s.mode !== "text" && { start }),
    ...(control === "pictures" && { guide }),
    ...(control === "keys" && { keys: s.keyFrames.map((_, i) => keys[i]) }),
    ...(s.likenesses.length > 0 && {
      likenesses: Object.fromEntries(s.likenesses.map(({ id }) => [id, likenesses[id] ?? []])),
    }),
  };
}

/** The image encoder through which IP-Adapters see: the one chosen, else any. */
export function encoderOf(s: Settings): string | undefined {
  const there = usage.value.models.filter((m) => m.role === "image-encoder").map((m) => m.id);
  return there.find((id) => id === s.imageEncoder) ?? there[0];
}

/** What a clip still needs, as "Write …"; undefined where nothing is missing. */
export function missing(s: Settings): string | undefined {
  const { start, guide, keys = [], likenesses = {} } = inputs.value;
  const control = controlIn(s);
  if (s.prompt.trim() === "") return "Write what it shows.";
  const silent = s.regions.findIndex(({ text }) => text.trim() === "");
  if (silent >= 0) return `Write what part ${silent + 1} shows, or take it out.`;
  if (s.mode !== "text" && !start) return `Choose the ${s.mode === "image" ? "picture" : "video"} to start from.`;
  if (control === "path" && s.controlPath.length === 0) return "Draw the path to follow.";
  if (control === "pictures" && !guide) return "Choose the pictures to follow.";
  if (control === "keys") {
    if (s.keyFrames.length === 0) return "Add a key frame.";
    const late = s.keyFrames.find((frame) => frame >= s.frames);
    if (late !== undefined) return `Key frame ${late} lies beyond the clip, whose last is ${s.frames - 1}.`;
    if (new Set(s.keyFrames).size < s.keyFrames.length) return "Give each key frame a number of its own.";
    const bare = s.keyFrames.find((_, i) => !keys[i]);
    if (bare !== undefined) return `Choose the picture for frame ${bare}.`;
  }
  if (s.likenesses.some(({ id }) => (likenesses[id] ?? []).length === 0))
    return "Choose the picture that it should be like.";
  if (s.likenesses.length > 0 && encoderOf(s) === undefined)
    return "Add the image encoder that the IP-Adapter sees through.";
  return undefined;
}

export function startFrom(start: Source): void {
  give({ start });
  change({ mode: limits.peek()?.imageEncoder ? "image" : "video" });
}

/** Puts a clip in as the video to start from, at its size; it becomes one while the page goes on. What is set or chosen meanwhile holds. */
export async function startFromClip(clip: Clip): Promise<void> {
  const { recipe, width, height, count } = clip;
  const { fps } = clip.settings;
  const mine = ++choices;
  change({ width, height, frames: count, fps });
  try {
    const blob = await encode({ format: "apng", frames: await framesOf(clip), fps, recipe });
    if (mine === choices) startFrom({ name: `the clip “${recipe.prompt}”`, blob });
  } catch (error) {
    say((error as Error).message, "error");
  }
}
