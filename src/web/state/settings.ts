// What the controls say: one plain object in a signal, kept in localStorage, written into share links, read from recipes.

import { signal } from "@preact/signals";
import type { Recipe, SchedulerName } from "../../index.js";
import { pathFrom, type Point } from "./path.js";
import {
  BUNDLED,
  BUNDLED_CONTROL,
  BUNDLED_LORA,
  type ModelChoice,
  type RunOptions,
  type RunRequest,
} from "../engine/protocol.js";

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
  /** Pictures that the clip follows: none, discs along a drawn path, or given ones. */
  readonly control: "none" | "path" | "pictures";
  /** BUNDLED_CONTROL, or of the store. */
  readonly controlModel: string;
  readonly controlScale: number;
  readonly controlPath: readonly Point[];
  /** Radius of a path's discs, in parts of the picture's shorter side. */
  readonly controlDisc: number;
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
  originalSteps: 50,
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
  controlPath: [],
  controlDisc: 0.14,
};

const KEY = "kineograph.settings";

/** Keeps of `value` what DEFAULTS has, where the type is right. */
export function settingsFrom(value: unknown): Settings {
  if (typeof value !== "object" || value === null) return DEFAULTS;
  const given = value as Record<string, unknown>;
  const kept = Object.entries(DEFAULTS).map(([name, standard]) => {
    const v = given[name];
    const fits = typeof v === typeof standard && Array.isArray(v) === Array.isArray(standard);
    return [name, fits ? v : standard];
  });
  const settled = Object.fromEntries(kept) as Settings;
  return { ...settled, controlPath: pathFrom(settled.controlPath) };
}

function stored(): Settings {
  try {
    return settingsFrom(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return DEFAULTS;
  }
}

export const settings = signal<Settings>(fromLink(location.hash) ?? stored());

settings.subscribe((value) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(value));
  } catch {
    // Private windows may refuse; the page works without.
  }
});

export function change(patch: Partial<Settings>): void {
  settings.value = { ...settings.value, ...patch };
}

/** What a control calls with its new value. */
export function setter<K extends keyof Settings>(name: K): (value: Settings[K]) => void {
  return (value) => change({ [name]: value } as Pick<Settings, K>);
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

/** The engine's request. */
export function requestOf(s: Settings, profile: boolean): RunRequest {
  const choice: ModelChoice = {
    model: s.model,
    motion: s.motion === "" ? undefined : s.motion,
    vae: s.vae === "" ? undefined : s.vae,
    loras: s.loras.filter((l) => l.weight !== 0 && (l.id !== BUNDLED_LORA || s.model === BUNDLED)),
    embeddings: s.embeddings,
    precision: s.precision === "auto" ? undefined : s.precision,
    weights: s.weights === "auto" ? undefined : s.weights,
    lowMemory: s.lowMemory,
    motionNorm: s.motionNorm === "auto" ? undefined : s.motionNorm,
    distilled: isDistilled(s.scheduler),
    encoder: s.mode !== "text",
  };
  const options: RunOptions = {
    prompt: s.prompt,
    negative: s.negative,
    seed: s.seed,
    steps: s.steps,
    guidance: s.guidance,
    width: s.width,
    height: s.height,
    frames: s.frames,
    fps: s.fps,
    scheduler: s.scheduler,
    clipSkip: s.clipSkip,
    originalSteps: s.originalSteps === DEFAULTS.originalSteps ? undefined : s.originalSteps,
    betaSchedule: s.betaSchedule,
    plainPrompt: s.plainPrompt,
    strength: s.mode === "video" ? s.strength : undefined,
    motionScale: s.mode === "image" ? s.motionScale : undefined,
    ...courseOf(s),
  };
  return { choice, options, profile, control: controlOf(s) };
}

/** What the clip follows: nothing where the network is the bundled one and the model is not. */
export function controlIn(s: Settings): Settings["control"] {
  return s.controlModel === BUNDLED_CONTROL && s.model !== BUNDLED ? "none" : s.control;
}

/** The request as far as a plan looks at it: without what is drawn or read when the run begins. */
export function plannedRequest(s: Settings): RunRequest {
  const path = { kind: "path", points: [], size: s.controlDisc } as const;
  const control = { id: s.controlModel, name: "", scale: s.controlScale, guide: path };
  return { ...requestOf(s, false), control: controlIn(s) === "none" ? undefined : control };
}

/** What a drawn path asks for; given pictures are read when the run begins. */
function controlOf(s: Settings): RunRequest["control"] {
  if (controlIn(s) !== "path" || s.controlPath.length === 0) return undefined;
  return {
    id: s.controlModel,
    name: "a drawn path",
    scale: s.controlScale,
    guide: { kind: "path", points: s.controlPath, size: s.controlDisc },
  };
}

/** Options of a long clip. Windows that would hold the whole clip are none. */
function courseOf(
  s: Settings,
): Pick<RunOptions, "long" | "context" | "stride" | "contextSchedule" | "freeInit" | "promptAt"> {
  const stops = s.travel.filter(({ frame, text }) => text.trim() !== "" && frame > 0 && frame < s.frames);
  const windows = s.course !== "whole" && s.frames > s.context;
  return {
    ...(windows && {
      long: s.course === "free-noise" ? "free-noise" : "window",
      context: s.context,
      stride: Math.min(s.stride, s.context),
      ...(s.course === "loop" && { contextSchedule: "looped" as const }),
    }),
    ...(s.freeInit > 1 && { freeInit: s.freeInit }),
    ...(stops.length > 0 && { promptAt: Object.fromEntries(stops.map(({ frame, text }) => [frame, text])) }),
  };
}

/** The address that opens the page with these settings; models go by name only, since another browser has its own. */
export function shareLink(s: Settings): string {
  const differing = Object.entries(s).filter(
    ([name, value]) =>
      name !== "seedLocked" &&
      name !== "mode" &&
      JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof Settings]),
  );
  const kept = { ...Object.fromEntries(differing), prompt: s.prompt, seed: s.seed };
  const url = new URL(location.href);
  url.hash = `s=${encodeURIComponent(JSON.stringify(kept))}`;
  return url.href;
}

/** The settings in a share link's fragment. */
export function fromLink(hash: string): Settings | undefined {
  const text = /^#s=(.+)$/.exec(hash)?.[1];
  if (text === undefined) return undefined;
  try {
    return settingsFrom(JSON.parse(decodeURIComponent(text)));
  } catch {
    return undefined;
  }
}

/** "8:a heart" → frame 8 */
function stopOf(entry: string | number): Settings["travel"][number] {
  const [, frame = "0", text = ""] = /^(\d+):(.*)$/s.exec(String(entry)) ?? [];
  return { frame: Number(frame), text };
}

/** A model of the store, as far as recipes name it. */
interface Named {
  readonly id: string;
  readonly name: string;
}

function list(value: Recipe[string]): readonly (string | number)[] {
  return Array.isArray(value) ? value : [];
}

/** The control of a recipe: a path is drawn again; pictures have to be given again. */
function controlFrom(recipe: Recipe, find: (value: unknown, otherwise: string) => string): Partial<Settings> {
  const [, model = "", scale] = /^(.+?)=.*?(?::([\d.]+))?$/.exec(String(list(recipe["control"])[0] ?? "")) ?? [];
  if (model === "") return {};
  const bundled = model.endsWith("shapes/control-blob");
  const points = list(recipe["controlPath"]).map((p) => {
    const [x, y, t] = String(p).split(",").map(Number);
    return { x, y, t };
  });
  return {
    control: points.length > 0 ? "path" : "pictures",
    controlModel: bundled ? BUNDLED_CONTROL : find(model, BUNDLED_CONTROL),
    controlPath: pathFrom(points),
    ...(scale !== undefined && { controlScale: Number(scale) }),
    ...(typeof recipe["controlDisc"] === "number" && { controlDisc: recipe["controlDisc"] }),
  };
}

/**
 * The settings that a file's recipe asks for. `missing` names the models that this browser does not have.
 * Paths from the command line are matched by their last part.
 */
export function fromRecipe(
  recipe: Recipe,
  models: readonly Named[],
): { readonly settings: Settings; readonly missing: readonly string[] } {
  const missing: string[] = [];
  const last = (path: string) => path.split(/[/\\]/).pop() ?? path;
  const find = (value: unknown, otherwise: string): string => {
    if (typeof value !== "string") return otherwise;
    const found = models.find((m) => m.name === value || m.name === last(value));
    if (!found) missing.push(last(value));
    return found?.id ?? otherwise;
  };
  const model = find(recipe["model"], BUNDLED);
  const loras = Array.isArray(recipe["lora"])
    ? recipe["lora"].flatMap((entry) => {
        const [, name = "", weight = "1"] = /^(.+?)(?::([+-]?[\d.]+))?$/.exec(String(entry)) ?? [];
        const id = find(name, "");
        return id === "" ? [] : [{ id, weight: Number(weight) }];
      })
    : [];
  const lessLora = recipe["noLora"] === true;
  const own = typeof recipe["bundledLora"] === "number" ? recipe["bundledLora"] : lessLora ? 0 : 1;
  const [, w, h] = /^(\d+)x(\d+)$/.exec(recipe.size ?? "") ?? [];
  const plain = settingsFrom({
    ...recipe,
    seed: recipe.seed === undefined ? "0" : String(recipe.seed),
    width: w === undefined ? DEFAULTS.width : Number(w),
    height: h === undefined ? DEFAULTS.height : Number(h),
    course:
      recipe["long"] === "window"
        ? recipe["contextSchedule"] === "looped"
          ? "loop"
          : "window"
        : recipe["long"] === "free-noise"
          ? "free-noise"
          : "whole",
    travel: Array.isArray(recipe["promptAt"]) ? recipe["promptAt"].map(stopOf) : [],
    mode: typeof recipe["initVideo"] === "string" ? "video" : typeof recipe["image"] === "string" ? "image" : "text",
    model,
    motion: find(recipe["motion"], ""),
    ...controlFrom(recipe, find),
    embeddings: list(recipe["embedding"]).flatMap((name) => find(name, "") || []),
    vae: find(recipe["vae"], ""),
    loras: model === BUNDLED ? [{ id: BUNDLED_LORA, weight: own }, ...loras] : loras,
  });
  return { settings: { ...plain, seedLocked: true }, missing };
}
