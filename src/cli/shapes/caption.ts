// What a prompt for the demo model asks for, in the wordings it was trained with (models/shapes/train/data.py).

import type { Finding, MotionName } from "./checker.js";
import { COLOURS, SHAPES, type BackgroundName, type ColourName, type ShapeName } from "./drawing.js";

/** What a clip should show. */
export interface Wanted {
  readonly colour: ColourName;
  readonly shape: ShapeName;
  readonly motion: MotionName;
  readonly background: BackgroundName;
}

const MOTIONS: Readonly<Record<MotionName, RegExp>> = {
  "moving left": /\bmov(ing|es) (to the )?left\b/,
  "moving right": /\bmov(ing|es) (to the )?right\b/,
  "moving up": /\bmov(ing|es) up(wards)?\b/,
  "moving down": /\bmov(ing|es) down(wards)?\b/,
  growing: /\bgrow(ing|s)\b|\bgetting bigger\b/,
  shrinking: /\bshrink(ing|s)\b|\bgetting smaller\b/,
};
const BACKGROUND_WORDS: Readonly<Record<BackgroundName, RegExp>> = {
  "night sky": /\bnight\b/,
  sunset: /\bsunset\b/,
  "green meadow": /\bmeadow\b/,
  "blue sea": /\bsea\b/,
};

/** The four things a prompt names; undefined where it leaves one out or names two. */
export function wantedOf(prompt: string): Wanted | undefined {
  const text = prompt.toLowerCase();
  const only = <T extends string>(names: readonly T[], pattern: (name: T) => RegExp): T | undefined => {
    const found = names.filter((name) => pattern(name).test(text));
    return found.length === 1 ? found[0] : undefined;
  };
  const shape = only(SHAPES, (name) => new RegExp(`\\b${name}\\b`));
  // The colour stands before the shape: "blue sea" and "green meadow" are backgrounds.
  const colour = only(Object.keys(COLOURS) as ColourName[], (name) => new RegExp(`\\b${name} ${shape ?? ""}\\b`));
  const motion = only(Object.keys(MOTIONS) as MotionName[], (name) => MOTIONS[name]);
  const background = only(Object.keys(BACKGROUND_WORDS) as BackgroundName[], (name) => BACKGROUND_WORDS[name]);
  return colour && shape && motion && background ? { colour, shape, motion, background } : undefined;
}

/** How often clips show what they should: shares from 0 to 1, overlap of the outline, distance from a steady path in pixels. */
export interface Score {
  readonly clips: number;
  readonly colour: number;
  readonly shape: number;
  readonly motion: number;
  readonly background: number;
  /** All four at once. */
  readonly all: number;
  readonly overlap: number;
  readonly jitter: number;
}

/** @throws RangeError where there is no clip */
export function scoreOf(clips: readonly { readonly wanted: Wanted; readonly found: Finding }[]): Score {
  if (clips.length === 0) throw new RangeError("a score takes at least one clip");
  const share = (right: (c: (typeof clips)[number]) => boolean) => clips.filter(right).length / clips.length;
  const one = (key: keyof Wanted) => share(({ wanted, found }) => wanted[key] === found[key]);
  const mean = (value: (f: Finding) => number) => clips.reduce((sum, c) => sum + value(c.found), 0) / clips.length;
  return {
    clips: clips.length,
    colour: one("colour"),
    shape: one("shape"),
    motion: one("motion"),
    background: one("background"),
    all: share(({ wanted, found }) => (Object.keys(wanted) as (keyof Wanted)[]).every((k) => wanted[k] === found[k])),
    overlap: mean((f) => f.iou),
    jitter: mean((f) => f.jitter),
  };
}
