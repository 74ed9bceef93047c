// Textual-inversion embeddings, opened for a text encoder: what prompts may call by name.

import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import { contentHash, headerHash } from "../io/checkpoint-hash.js";
import { readEmbedding } from "../io/names/embedding.js";
import { identify } from "../io/names/identify.js";
import { openWeights } from "../io/weight-files.js";
import type { PromptEmbedding } from "./prompt-chunks.js";

/** An embedding file; `name` replaces the file's own and the one stored inside. */
export interface EmbeddingSource {
  readonly source: ByteSource;
  readonly name?: string | undefined;
}

/** What became of one embedding file. */
export interface EmbeddingInfo {
  readonly file: string;
  /** What prompts may call it, in any case. */
  readonly names: readonly string[];
  readonly vectors: number;
  /** sha256 of its header. */
  readonly hash: string;
  /** Tells its content from that of other files: see contentHash. */
  readonly content: string;
}

/**
 * Reads embedding files for a text encoder of width `width` whose rows have room for `room` tokens.
 * @throws CheckpointError for a file that is none or does not fit, and for a name given twice
 */
export async function openEmbeddings(
  files: readonly EmbeddingSource[],
  { width, room }: { readonly width: number; readonly room: number },
): Promise<{ readonly embeddings: readonly PromptEmbedding[]; readonly info: readonly EmbeddingInfo[] }> {
  const embeddings = new Map<string, { readonly from: string; readonly embedding: PromptEmbedding }>();
  const info: EmbeddingInfo[] = [];
  for (const { source, name } of files) {
    const file = await openWeights(source);
    try {
      const { kind, description } = identify(file);
      if (kind !== "textual-inversion")
        throw new CheckpointError(`${file.name} is no textual-inversion embedding: it is ${description}`);
      const read = await readEmbedding(file, width);
      const names = name === undefined ? read.names : [name];
      if (read.vectors.length > room)
        throw new CheckpointError(
          `${file.name} has ${read.vectors.length} vectors, but this text encoder takes ${room} tokens at once`,
        );
      for (const called of names) {
        const key = called.toLowerCase();
        const other = embeddings.get(key)?.from;
        if (other !== undefined)
          throw new CheckpointError(
            `two embeddings are called "${called}": ${other} and ${file.name}; name one otherwise, as in --embedding ${file.name}:another`,
          );
        embeddings.set(key, { from: file.name, embedding: { name: called, vectors: read.vectors } });
      }
      const [hash, content] = [await headerHash(file), await contentHash(file)];
      info.push({ file: file.name, names, vectors: read.vectors.length, hash, content });
    } finally {
      await file.close();
    }
  }
  return { embeddings: [...embeddings.values()].map((e) => e.embedding), info };
}
