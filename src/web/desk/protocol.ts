// What the page and the desk's worker say to each other. The desk does what takes long but needs no GPU: encoding clips,
// taking in models.

import type { Frames, Recipe } from "../../index.js";
import type { Call } from "../rpc.js";
import type { Unfinished } from "../store/journal.js";
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
  /** Of a download: what has come is being compared with its checksum. */
  readonly checking?: boolean;
}

/** What became of files given. */
export interface ImportResult {
  readonly added: readonly Manifest[];
  /** One sentence for each thing that is no model. */
  readonly refused: readonly string[];
}

export interface Usage {
  readonly models: readonly Manifest[];
  /** Imports that were cut off or are under way. */
  readonly unfinished: readonly Unfinished[];
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
  /** Makes a model of an import whose files are all there. */
  finish: Call<string, Manifest>;
  usage: Call<undefined, Usage>;
  /** Removes what imports left behind that cannot be gone on with. */
  tidy: Call<undefined, undefined>;
  remove: Call<string, undefined>;
  /** Compares a model with the checksums taken when it was added; names the damaged files. */
  verify: Call<string, readonly string[], ImportEvent>;
}
