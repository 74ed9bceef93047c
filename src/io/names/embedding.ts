// Textual-inversion embeddings: vectors that stand for a word of a prompt. Files of diffusers (`<name>`: [d] or [n, d]), of
// A1111 and the first code (`string_to_param.*`, with the name beside it), `emb_params` (safetensors of A1111 and trainers),
// and those for SDXL (`clip_l`, `clip_g`), which are refused.

import { CheckpointError, quoted } from "../errors.js";
import type { WeightFile } from "../weight-files.js";

/** Where an embedding file keeps its vectors. */
export interface EmbeddingTensor {
  readonly tensor: string;
  readonly vectors: number;
  readonly width: number;
  /** Whether the file's form says that it is an embedding, whatever its width. */
  readonly explicit: boolean;
  /** For SDXL: vectors for each of its two text encoders. */
  readonly sdxl: boolean;
}

/** An embedding, read. */
export interface Embedding {
  /** What prompts may call it: the file's name without its suffix, and the name stored inside. */
  readonly names: readonly string[];
  readonly vectors: readonly Float32Array[];
}

/** Tensor names that say nothing about the word. */
const NAMELESS = /^(emb_params|clip_[lg]|tensor|string_to_param\..*|\*)$/;
const EXPLICIT = /^(emb_params|clip_l|string_to_param\.(_parameters\.)?\*|<.+>)$/;
/** Widths of the text encoders of Stable Diffusion 1, 2 and XL. */
const WIDTHS: readonly number[] = [768, 1024, 1280];
/** Vectors of an embedding: a prompt has room for 75. */
const MOST = 256;

/** Finds an embedding's vectors by names and shapes; undefined where the file is none. */
export function embeddingTensor(file: Pick<WeightFile, "entries">): EmbeddingTensor | undefined {
  const all = [...file.entries()].filter((e) => !/^string_to_token\b/.test(e.name));
  if (all.length > 2) return undefined;
  const explicit = all.find((e) => EXPLICIT.test(e.name));
  const found = explicit ?? (all.length === 1 && !all[0]!.name.includes(".") ? all[0] : undefined);
  if (!found || found.shape.length < 1 || found.shape.length > 2) return undefined;
  const [vectors, width] = found.shape.length === 1 ? [1, found.shape[0]!] : [found.shape[0]!, found.shape[1]!];
  if (vectors < 1 || vectors > MOST || width < 1 || (!explicit && !WIDTHS.includes(width))) return undefined;
  const sdxl = all.some((e) => e.name === "clip_g") || width === 1280;
  return { tensor: found.name, vectors, width, explicit: explicit !== undefined, sdxl };
}

/**
 * Reads an embedding.
 * @throws CheckpointError where the file is none, or made for another model
 */
export async function readEmbedding(file: WeightFile, width: number): Promise<Embedding> {
  const found = embeddingTensor(file);
  if (!found) throw new CheckpointError(`${file.name} is no textual-inversion embedding`);
  if (found.width !== width || found.sdxl)
    throw new CheckpointError(
      `${file.name} holds an embedding of width ${found.width}${found.sdxl ? " for SDXL" : found.width === 1024 ? " for Stable Diffusion 2" : ""}, but this model's text encoder has width ${width}`,
    );
  const values = new Float32Array((await file.read(found.tensor, "f32")).slice().buffer);
  if (!values.every((v) => Number.isFinite(v)))
    throw new CheckpointError(`${file.name}: ${quoted(found.tensor)} has values that are not finite`);
  const stored = NAMELESS.test(found.tensor) ? file.metadata.get("name") : found.tensor;
  const stem = file.name.replace(/^.*[/\\]/, "").replace(/\.(safetensors|pt|bin|ckpt|pth)$/i, "");
  const names = [stem, stored ?? ""].map((n) => n.trim()).filter((n) => n !== "" && n !== "*");
  return {
    names: [...new Set(names)],
    vectors: Array.from({ length: found.vectors }, (_, i) => values.subarray(i * width, (i + 1) * width)),
  };
}
