// Prompts to what the UNet attends to: rows of tokens through the text encoder, weights applied, rows joined.
// The negative prompt and prompts along a clip meet in one evaluation, so they are brought to one length with rows of the empty
// prompt: ask `chunksOf` first. Prompts of regions are attended to by themselves.

import { emphasis, type Emphasis } from "../../kernels/emphasis.js";
import type { Device } from "../gpu/device.js";
import type { CLIPTextModel } from "../models/clip/text-model.js";
import { Tensor } from "../tensor/tensor.js";
import {
  chunkPrompt,
  emptyChunk,
  type ChunkedPrompt,
  type PromptChunk,
  type PromptEmbedding,
  type PromptTokenizer,
} from "./prompt-chunks.js";

/** What encodes prompts; PipelineParts is one. */
export interface PromptParts {
  readonly device: Device;
  /** Of the result. */
  readonly dtype: "f32" | "f16";
  readonly tokenizer: PromptTokenizer;
  readonly text: CLIPTextModel;
  /** Usable in prompts by their names. */
  readonly embeddings?: readonly PromptEmbedding[];
}

/** How prompts are read; Settings is one. */
export interface PromptStyle {
  /** Text as diffusers takes it: no markup, what is too long cut off. */
  readonly plainPrompt: boolean;
  readonly emphasis: Emphasis;
}

/** A prompt as rows of tokens. */
export function tokenizePrompt(
  parts: Pick<PromptParts, "tokenizer" | "embeddings">,
  prompt: string,
  style: Pick<PromptStyle, "plainPrompt">,
): ChunkedPrompt {
  return chunkPrompt(parts.tokenizer, prompt, { plain: style.plainPrompt, embeddings: parts.embeddings ?? [] });
}

/** Rows of tokens that the longest of `prompts` takes: `chunks` for `encodePrompt` of each of them. */
export function chunksOf(
  parts: Pick<PromptParts, "tokenizer" | "embeddings">,
  prompts: readonly string[],
  style: Pick<PromptStyle, "plainPrompt">,
): number {
  return Math.max(1, ...prompts.map((prompt) => tokenizePrompt(parts, prompt, style).chunks.length));
}

/**
 * Records a prompt's encoding: states `[1, chunks · modelMaxLength, hiddenSize]`, in `parts.dtype`. `chunks` (default:
 * what the prompt takes) fills up with rows of the empty prompt. `clipSkip` as CLIPTextModel's; diffusers applies it to
 * the prompt, never to the negative prompt.
 * @throws Error where the prompt takes more than `chunks` rows, and what CLIPTextModel.forward throws
 */
export function encodePrompt(
  parts: PromptParts,
  prompt: string,
  style: PromptStyle & { readonly chunks?: number; readonly clipSkip?: number },
): Tensor {
  const { device, text, tokenizer, dtype } = parts;
  const { chunks: rows } = tokenizePrompt(parts, prompt, style);
  const { chunks = rows.length, clipSkip = 0 } = style;
  if (rows.length > chunks)
    throw new Error(`the prompt takes ${rows.length} rows of tokens, expected at most ${chunks}`);
  const all = [...rows, ...Array.from({ length: chunks - rows.length }, () => emptyChunk(tokenizer))];
  return device.scope(() => {
    const encode = (list: readonly PromptChunk[]): Tensor => {
      const vectors = list.flatMap((c, row) => c.vectors.map((v) => ({ row, ...v })));
      return text.forward(
        device,
        list.map((c) => c.ids),
        dtype,
        clipSkip,
        vectors,
      );
    };
    let z = encode(all);
    const [n = 0, tokens = 0, d = 0] = z.shape;
    const weights = all.flatMap((c) => c.weights);
    if (weights.some((w) => w !== 1)) {
      const w = Tensor.from(device, weights, [n, tokens], "f32", "token weights");
      z = emphasis(z, w, style.emphasis, style.emphasis === "blend" ? encode([emptyChunk(tokenizer)]) : undefined);
    }
    return z.reshape([1, n * tokens, d]);
  });
}
