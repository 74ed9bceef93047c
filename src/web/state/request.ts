// The settings as the engine is asked for them.

import {
  BUNDLED,
  BUNDLED_CONTROL,
  BUNDLED_LORA,
  type Control,
  type ModelChoice,
  type RunOptions,
  type RunRequest,
} from "../engine/protocol.js";
import { isDistilled, type Settings } from "./defaults.js";

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
    encoder: s.mode !== "text" || controlIn(s) === "keys",
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
    originalSteps: s.originalSteps > 0 ? s.originalSteps : undefined,
    betaSchedule: s.betaSchedule,
    plainPrompt: s.plainPrompt,
    strength: s.mode === "video" ? s.strength : undefined,
    motionScale: s.mode === "image" ? s.motionScale : undefined,
    ...regionsOf(s),
    ...courseOf(s),
  };
  return { choice, options, profile, control: controlOf(s) };
}

/** What the clip follows: nothing where the network is the bundled one and the model is not. */
export function controlIn(s: Settings): Settings["control"] {
  return s.controlModel === BUNDLED_CONTROL && s.model !== BUNDLED ? "none" : s.control;
}

/** The request as far as a plan looks at it: without what is drawn or read when the run begins. */
export function plannedRequest(s: Settings, encoder: string | undefined): RunRequest {
  const blank = { width: 8, height: 8, rgba: new Uint8Array(8 * 8 * 4) };
  const pictures = (count: number) => ({ ...blank, count, rgba: new Uint8Array(8 * 8 * 4 * count) });
  const guides = {
    path: { kind: "path", points: [], size: s.controlDisc },
    pictures: { kind: "pictures", frames: pictures(1), made: "as they are" },
    keys: { kind: "keys", frames: pictures(s.keyFrames.length), made: "as they are", at: s.keyFrames },
  } as const;
  const follows = controlIn(s);
  return {
    ...requestOf(s, false),
    control: follows === "none" ? undefined : { ...networkOf(s), name: "", guide: guides[follows] },
    likenesses: encoder === undefined ? [] : s.likenesses.map((l) => ({ ...l, encoder, names: [], images: [blank] })),
  };
}

/** The network that the clip is guided by. */
export function networkOf(s: Settings): Omit<Control, "name" | "guide"> {
  return {
    id: s.controlModel,
    scale: s.controlScale,
    start: s.controlStart,
    end: s.controlEnd,
    guess: s.controlGuess && controlIn(s) !== "keys",
  };
}

/** What a drawn path asks for; given pictures are read when the run begins. */
function controlOf(s: Settings): RunRequest["control"] {
  if (controlIn(s) !== "path" || s.controlPath.length === 0) return undefined;
  return {
    ...networkOf(s),
    name: "a drawn path",
    guide: { kind: "path", points: s.controlPath, size: s.controlDisc },
  };
}

/** Regions that say something. */
function regionsOf({ regions, regionBase }: Settings): Pick<RunOptions, "regions" | "regionBase"> {
  const speaking = regions.filter(({ text }) => text.trim() !== "");
  return speaking.length === 0 ? {} : { regions: speaking, regionBase };
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
