// What the page and the desk's worker say to each other. The desk does what takes long but needs no GPU: encoding clips,
// taking in models.

import type { Frames, Recipe } from "../../index.js";
import type { Call } from "../rpc.js";
import type { Manifest } from "../store/read.js";

export type Format = "apng" | "gif" | "webp" | "mp4" | "webm" | "zip" | "png";

export interface EncodeRequest {
  readonly format: Format;
  readonly frames: Frames;
  readonly fps: number;
  readonly recipe: Recipe;
  /** For "png": the frame. */
  readonly frame?: number;
}

/** A picture, animation or video, and the frames wanted of it. */
export interface DecodeRequest {
  readonly blob: Blob;
  readonly name: string;
  readonly frames: number;
  readonly fps: number;
  /** Both or none: as it is. */
  readonly width?: number;
  readonly height?: number;
}

export interface Decoded {
  readonly frames: Frames;
  /** What was done that the user may not expect. */
  readonly notes: readonly string[];
}

/** A file chosen or dropped, with its path below what was chosen. */
export interface GivenFile {
  readonly path: string;
  readonly file: File;
}

export interface ImportEvent {
  readonly name: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What became of files given. */
export interface ImportResult {
  readonly added: readonly Manifest[];
  /** One sentence for each thing that is no model. */
  readonly refused: readonly string[];
}

export interface Usage {
  readonly models: readonly Manifest[];
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export interface DeskCalls {
  encode: Call<EncodeRequest, Blob>;
  decode: Call<DecodeRequest, Decoded>;
  /** The recipe in a file that Kineograph wrote. */
  recipe: Call<{ readonly blob: Blob; readonly name: string }, Recipe>;
  /** The formats that this browser encodes. */
  formats: Call<{ readonly width: number; readonly height: number }, readonly Format[]>;
  add: Call<readonly GivenFile[], ImportResult, ImportEvent>;
  usage: Call<undefined, Usage>;
  /** Removes what imports that were cut off left behind; says whether there was any. */
  tidy: Call<undefined, boolean>;
  remove: Call<string, undefined>;
  /** Compares a model with the checksums taken when it was added; names the damaged files. */
  verify: Call<string, readonly string[], ImportEvent>;
}
