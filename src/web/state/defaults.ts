// What can be set, what it is by itself, and what of a value from outside (a link, a file, an older visit) is kept.

import type { SchedulerName } from "../../index.js";
import { pathFrom, type Point } from "./path.js";
import { regionsFrom, type Region } from "./regions.js";
import { BUNDLED, BUNDLED_CONTROL, BUNDLED_LORA, type Making } from "../engine/protocol.js";

export interface Settings {
  /** From what the clip starts. */
  readonly mode: "text" | "video" | "image";
  /** With a video: how much of it is given up. */
  readonly strength: number;
  /** With a picture: how much it moves. */
  readonly motionScale: number;
  /** How the network sees a clip longer than it was trained for; the last is one that ends where it begins. */
  readonly course: "whole" | "free-noise" | "window" | "loop";
  /** Frames of a window, and from one window to the next. */
  readonly context: number;
  readonly stride: number;
  /** Runs, each from the low frequencies of the one before; 0 is one run. */
  readonly freeInit: number;
  /** Prompts at later frames, by frame. */
  readonly travel: readonly { readonly frame: number; readonly text: string }[];
  /** Parts of the picture with sentences of their own, and what the prompt keeps inside them, 0 … 1. */
  readonly regions: readonly Region[];
  readonly regionBase: number;
  /** Takes the prompt as diffusers does, without weights in brackets. */
  readonly plainPrompt: boolean;
  readonly prompt: string;
  readonly negative: string;
  /** Decimal digits, below 2^64. */
  readonly seed: string;
  readonly seedLocked: boolean;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly fps: number;
  readonly scheduler: SchedulerName;
  readonly clipSkip: number;
  /** LCM's training grid; 0: the one that goes with the model. */
  readonly originalSteps: number;
  readonly betaSchedule: "linear" | "scaled_linear" | "squaredcos_cap_v2";
  readonly motionNorm: "auto" | "joint" | "frame";
  readonly precision: "auto" | "f32" | "f16";
  /** 8-bit weights, in half of f16's memory. */
  readonly weights: "auto" | "int8";
  /** Weights stay on the host and are uploaded layer by layer. */
  readonly lowMemory: boolean;
  /** Ids: BUNDLED, or of the store. */
  readonly model: string;
  /** "" is the model's own. */
  readonly motion: string;
  readonly vae: string;
  readonly loras: readonly { readonly id: string; readonly weight: number }[];
  /** Textual inversions, by id. */
  readonly embeddings: readonly string[];
  /** Pictures that the clip follows: none, discs along a drawn path, given ones, or given ones at chosen frames. */
  readonly control: "none" | "path" | "pictures" | "keys";
  /** BUNDLED_CONTROL, or of the store. */
  readonly controlModel: string;
  readonly controlScale: number;
  /** The part of the steps in which it acts, 0 … 1. */
  readonly controlStart: number;
  readonly controlEnd: number;
  /** ControlNet's guess mode. */
  readonly controlGuess: boolean;
  /** What is made of given pictures first. */
  readonly controlMade: Making;
  /** The frames that given pictures stand for. */
  readonly keyFrames: readonly number[];
  readonly controlPath: readonly Point[];
  /** Radius of a path's discs, in parts of the picture's shorter side. */
  readonly controlDisc: number;
  /** IP-Adapters in use, by id, and the image encoder through which they see; "" is the first there is. */
  readonly likenesses: readonly LikenessSettings[];
  readonly imageEncoder: string;
}

/** How an IP-Adapter is used. */
export interface LikenessSettings {
  readonly id: string;
  readonly scale: number;
  /** The part of the steps in which it acts, 0 … 1. */
  readonly start: number;
  readonly end: number;
}

export const DEFAULTS: Settings = {
  mode: "text",
  strength: 0.8,
  motionScale: 0.8,
  course: "whole",
  context: 16,
  stride: 4,
  freeInit: 0,
  travel: [],
  regions: [],
  regionBase: 0,
  plainPrompt: false,
  prompt: "a red star moving left on a night sky",
  negative: "",
  seed: "0",
  seedLocked: false,
  steps: 4,
  guidance: 1,
  width: 128,
  height: 128,
  frames: 16,
  fps: 8,
  scheduler: "lcm",
  clipSkip: 0,
  originalSteps: 0,
  betaSchedule: "linear",
  motionNorm: "auto",
  precision: "auto",
  weights: "auto",
  lowMemory: false,
  model: BUNDLED,
  motion: "",
  vae: "",
  loras: [{ id: BUNDLED_LORA, weight: 1 }],
  embeddings: [],
  control: "none",
  controlModel: BUNDLED_CONTROL,
  controlScale: 1,
  controlStart: 0,
  controlEnd: 1,
  controlGuess: false,
  controlMade: "as they are",
  keyFrames: [0],
  controlPath: [],
  controlDisc: 0.14,
  likenesses: [],
  imageEncoder: "",
};

/** Keeps of `value` what DEFAULTS has, where the type is right; of lists what their entries should be. */
export function settingsFrom(value: unknown): Settings {
  if (typeof value !== "object" || value === null) return DEFAULTS;
  const given = value as Record<string, unknown>;
  const kept = Object.entries(DEFAULTS).map(([name, standard]) => {
    const v = given[name];
    const fits = typeof v === typeof standard && Array.isArray(v) === Array.isArray(standard);
    return [name, fits ? v : standard];
  });
  const s = Object.fromEntries(kept) as Settings;
  return {
    ...s,
    travel: s.travel.filter((t) => typeof t?.frame === "number" && typeof t.text === "string"),
    loras: withBundled(s.loras.filter((l) => typeof l?.id === "string" && typeof l.weight === "number")),
    embeddings: s.embeddings.filter((id) => typeof id === "string"),
    regions: regionsFrom(s.regions),
    controlPath: pathFrom(s.controlPath),
    keyFrames: s.keyFrames.filter((frame) => Number.isInteger(frame) && frame >= 0),
    likenesses: s.likenesses.filter(
      (l) => typeof l?.id === "string" && [l.scale, l.start, l.end].every(Number.isFinite),
    ),
  };
}

/** The bundled LoRA has its place in the list, whatever the model: it is off at weight 0, and goes with the bundled model alone. */
function withBundled(loras: Settings["loras"]): Settings["loras"] {
  return loras.some(({ id }) => id === BUNDLED_LORA) ? loras : [...DEFAULTS.loras, ...loras];
}

/** Samplers that few steps without guidance suit, and that the bundled model was distilled for. */
export function isDistilled(sampler: SchedulerName): boolean {
  return sampler === "lcm" || sampler === "tcd";
}

/** A seed that fits a float exactly, so that it can be typed and said. */
export function randomSeed(): string {
  const [n = 0] = crypto.getRandomValues(new Uint32Array(1));
  return String(n);
}

/** Whether a text is a seed. */
export function isSeed(text: string): boolean {
  return /^\d+$/.test(text) && BigInt(text) < 2n ** 64n;
}
