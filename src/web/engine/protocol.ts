// What the page and the engine's worker say to each other: plain data only.

import type {
  AttentionMap,
  Frames,
  ModelLimits,
  Picture,
  Plan,
  PreprocessorName,
  Recipe,
  SchedulerName,
} from "../../index.js";
import type { Call } from "../rpc.js";
import type { Point } from "../state/path.js";
import type { Region } from "../state/regions.js";

/** Id of the model that comes with the page. */
export const BUNDLED = "shapes";
/** Id of the bundled model's distilled LoRA. */
export const BUNDLED_LORA = "shapes/lcm-lora";

/** Id of the bundled model's ControlNet: an object follows a white disc. */
export const BUNDLED_CONTROL = "shapes/control-blob";

/** A model with what is put on it; ids are BUNDLED… or those of the store. */
export interface ModelChoice {
  readonly model: string;
  readonly motion?: string | undefined;
  readonly vae?: string | undefined;
  readonly loras: readonly { readonly id: string; readonly weight: number }[];
  /** Textual-inversion embeddings, by id. */
  readonly embeddings: readonly string[];
  readonly precision?: "f32" | "f16" | undefined;
  /** Storage of weights; default that of activations. */
  readonly weights?: "int8" | undefined;
  readonly lowMemory: boolean;
  readonly motionNorm?: "joint" | "frame" | undefined;
  /** The bundled model has weights for LCM and TCD, and others for all other samplers. */
  readonly distilled: boolean;
  /** Loads the VAE's encoder too: for videos and pictures to start from. */
  readonly encoder: boolean;
}

/** The adapter, as the page shows it. */
export interface GpuInfo {
  readonly name: string;
  readonly kind: "cpu" | "gpu";
  readonly f16: boolean;
  readonly timestamps: boolean;
  readonly maxBuffer: number;
  readonly maxBinding: number;
}

/** A loaded model. */
export interface ModelFacts {
  readonly precision: "f32" | "f16";
  readonly weightBytes: number;
}

/** One run's options; the seed as text, since it may exceed 2^53. */
export interface RunOptions {
  readonly prompt: string;
  readonly negative: string;
  readonly seed: string;
  readonly steps: number;
  readonly guidance: number;
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly fps: number;
  readonly scheduler: SchedulerName;
  readonly clipSkip: number;
  readonly plainPrompt: boolean;
  /** With a video. */
  readonly strength?: number | undefined;
  /** With a picture. */
  readonly motionScale?: number | undefined;
  readonly long?: "free-noise" | "window";
  readonly context?: number;
  readonly stride?: number;
  readonly contextSchedule?: "looped";
  readonly freeInit?: number;
  readonly promptAt?: Readonly<Record<number, string>>;
  /** Not there where there is none. */
  readonly regions?: readonly Region[];
  readonly regionBase?: number;
  readonly originalSteps?: number | undefined;
  readonly betaSchedule?: "linear" | "scaled_linear" | "squaredcos_cap_v2" | undefined;
}

export interface RunRequest {
  readonly choice: ModelChoice;
  readonly options: RunOptions;
  /** Times every dispatch and tells it as it goes. */
  readonly profile: boolean;
  /** Reads where this word of the prompt acts. */
  readonly word?: string | undefined;
  /** What the run starts from, with what it is called: a video, or a picture (a clip of one frame). */
  readonly start?: { readonly kind: "video" | "image"; readonly name: string; readonly frames: Frames } | undefined;
  readonly control?: Control | undefined;
  readonly likenesses?: readonly Likeness[] | undefined;
}

/** A control network with what it reads. */
export interface Control {
  /** BUNDLED_CONTROL, or of the store. */
  readonly id: string;
  /** What the pictures are called. */
  readonly name: string;
  readonly scale: number;
  /** The part of the steps in which it acts, 0 … 1. */
  readonly start: number;
  readonly end: number;
  /** ControlNet's guess mode. */
  readonly guess: boolean;
  /** A picture for each frame, or one for all; one for each of the frames `at`; or a path that a disc of this size takes. */
  readonly guide:
    | { readonly kind: "pictures"; readonly frames: Frames; readonly made: Making }
    | { readonly kind: "keys"; readonly frames: Frames; readonly made: Making; readonly at: readonly number[] }
    | { readonly kind: "path"; readonly points: readonly Point[]; readonly size: number };
}

/** What is made of control pictures before they are looked at. */
export type Making = PreprocessorName | "as they are";

/** An IP-Adapter with the pictures that the clip should be like. */
export interface Likeness {
  /** Of the store, as its image encoder. */
  readonly id: string;
  readonly encoder: string;
  /** What the pictures are called. */
  readonly names: readonly string[];
  readonly images: readonly Picture[];
  readonly scale: number;
  readonly start: number;
  readonly end: number;
}

export type Stage = "download" | "tune" | "load" | "text" | "denoise" | "decode";

/** Time of the dispatches with one label. */
export interface KernelTime {
  readonly label: string;
  readonly calls: number;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

export type RunEvent =
  | { readonly type: "stage"; readonly stage: Stage; readonly fraction: number; readonly detail?: string }
  /** The model is there, and the run will take so many steps. */
  | { readonly type: "model"; readonly facts: ModelFacts; readonly steps: number }
  | {
      readonly type: "step";
      readonly index: number;
      readonly count: number;
      readonly timestep: number;
      readonly seconds: number;
      readonly preview: Frames;
      /** Of the word asked for. */
      readonly attention: AttentionMap | undefined;
    }
  /** The device was lost after so many steps and has been opened again; the run goes on. */
  | { readonly type: "reopened"; readonly steps: number }
  | { readonly type: "profile"; readonly kernels: readonly KernelTime[] };

export interface RunResult {
  readonly frames: Frames;
  readonly recipe: Recipe;
  readonly seconds: { readonly load: number; readonly text: number; readonly denoise: number; readonly decode: number };
  readonly peakBytes: number;
  readonly warnings: readonly string[];
}

/** Changes of the settings that take less memory. */
export interface Smaller {
  readonly width?: number;
  readonly height?: number;
  readonly frames?: number;
  readonly lowMemory?: true;
  readonly weights?: "int8";
}

/** A plan, and whether it fits. */
export interface Fit {
  readonly plan: Pick<Plan, "weightBytes" | "peakBytes" | "flops" | "stages">;
  readonly fits: boolean;
  /** Bytes that the adapter was seen to give; undefined where nothing had to be tried. */
  readonly available?: number;
  /** What would fit instead, nearest first. */
  readonly instead: readonly Smaller[];
}

export interface EngineCalls {
  /** Opens the adapter. Errors are named NoWebGPU, NoAdapter or as the browser names them. */
  device: Call<undefined, GpuInfo>;
  /** Loads a model unless it is the one loaded, and compiles meanwhile what the run to come needs. */
  load: Call<RunRequest, ModelFacts, RunEvent>;
  run: Call<RunRequest, RunResult, RunEvent>;
  /** What a model can be asked for, by its files' headers. */
  limits: Call<ModelChoice, ModelLimits>;
  fit: Call<RunRequest, Fit>;
  /** Gives the device back; the next call opens another. What runs goes on with that one. */
  restart: Call<undefined, undefined>;
  /** The WGSL that ran under a label of the last profile. */
  source: Call<string, string | undefined>;
}
