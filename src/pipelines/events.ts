// What a run tells while it goes on. The frames come last.

import type { AttentionMap } from "./attention-maps.js";
import type { Settings } from "./options.js";
import type { RunState } from "./run-state.js";

/** Pictures of one clip. */
export interface Frames {
  readonly width: number;
  readonly height: number;
  readonly count: number;
  /** RGBA, 8 bits, `count · height · width · 4`. */
  readonly rgba: Uint8Array<ArrayBuffer>;
}

/** Part of a step was done: one of several windows of frames. Runs of one window a step have none of these. */
export interface WindowEvent {
  readonly type: "window";
  /** The step it belongs to, 0 … steps − 1. */
  readonly index: number;
  /** Evaluations of windows done so far, and in all of the run. */
  readonly done: number;
  readonly count: number;
  /** Wall-clock time of this window. */
  readonly seconds: number;
}

/** One step was done. */
export interface StepEvent {
  readonly type: "step";
  /** 0 … count − 1 */
  readonly index: number;
  readonly count: number;
  readonly timestep: number;
  /** Wall-clock time of this step. */
  readonly seconds: number;
  /** The present estimate as pictures at the latents' size, by a linear map: no network is evaluated. */
  preview(): Promise<Frames>;
  /** Where the word asked for by `attentionTo` acted in this step. To be called before the next event is asked for. */
  readonly attention?: () => Promise<AttentionMap>;
  /** What `resume` takes to go on from here. To be called before the next event is asked for. */
  state(): Promise<RunState>;
}

/** The run is over. */
export interface FramesEvent {
  readonly type: "frames";
  readonly frames: Frames;
  /** The last latents, torch layout `[1, 4, frames, h, w]`. */
  readonly latents: Float32Array;
  readonly latentShape: readonly number[];
  readonly settings: Settings;
  readonly timesteps: readonly number[];
  /** Wall-clock seconds per stage. */
  readonly seconds: {
    readonly text: number;
    /** Encoding of the video that the run started from. */
    readonly video?: number;
    readonly denoise: number;
    readonly decode: number;
  };
  /** What the user should know: words that did not fit, options without effect. */
  readonly warnings: readonly string[];
}

export type GenerationEvent = WindowEvent | StepEvent | FramesEvent;
