// What a checkpoint is, by its names and shapes alone: for `inspect`, and for errors that say what a wrong file is.

import type { WeightFile } from "../weight-files.js";
import { Names, type CheckpointKind, type Finding } from "./findings.js";
import { identifyAdapter } from "./identify-adapters.js";
import { identifyMotion, identifyNetwork, identifySingleFile } from "./identify-models.js";

export { identifyFolder } from "./identify-folder.js";
export type { CheckpointKind } from "./findings.js";

/** What a checkpoint is. */
export interface Identity {
  readonly kind: CheckpointKind;
  /** A phrase that names it, to follow "it is". */
  readonly description: string;
  /** Whether Kineograph can use it somewhere. */
  readonly usable: boolean;
  readonly tensors: number;
  readonly parameters: number;
  /** Tensors by stored type, most common first. */
  readonly dtypes: Readonly<Record<string, number>>;
  /** Facts by name: width, positions, spelling, … */
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

/** Kinds that an option of the command line takes by themselves. */
const USABLE: ReadonlySet<CheckpointKind> = new Set<CheckpointKind>([
  "sd15-single-file",
  "unet-motion",
  "vae",
  "motion",
  "lora",
  "textual-inversion",
  "controlnet",
  "t2i-adapter",
  "sparse-control",
  "ip-adapter",
  "image-encoder",
  "diffusers-folder",
]);

/** Names what a checkpoint is. Reads no tensor. */
export function identify(file: WeightFile): Identity {
  const names = new Names(file);
  const dtypes = new Map<string, number>();
  let parameters = 0;
  for (const { dtype, shape } of file.entries()) {
    dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + 1);
    parameters += shape.reduce((n, s) => n * s, 1);
  }
  const [kind, description, details = {}] =
    identifyAdapter(names, file) ??
    identifySingleFile(names) ??
    identifyMotion(names) ??
    identifyNetwork(names) ??
    (["unknown", "of no kind known here"] satisfies Finding);
  return {
    kind,
    description,
    usable: USABLE.has(kind),
    tensors: names.all.length,
    parameters,
    dtypes: Object.fromEntries([...dtypes].toSorted((a, b) => b[1] - a[1])),
    details,
  };
}
