/**
 * The vocabulary of openai/clip-vit-large-patch14 (Stable Diffusion 1.x), built from its merges: 256 bytes, 256 bytes
 * that end a word, one token a merge, and the two special ones. Imported on demand: the data is 214 kB.
 */
import { ALPHABET } from "./bpe.js";
import { DEFLATED, MERGES } from "./openai-merges.js";

export interface Vocabulary {
  /** Token → id. */
  readonly vocab: ReadonlyMap<string, number>;
  /** "left right" → rank; 0 merges first. */
  readonly ranks: ReadonlyMap<string, number>;
}

export async function openaiVocabulary(): Promise<Vocabulary> {
  const planes = await inflate(Uint8Array.from(atob(DEFLATED), (char) => char.charCodeAt(0)));
  const tokens = [...ALPHABET, ...ALPHABET.map((char) => `${char}</w>`)];
  const ranks = new Map<string, number>();
  for (let i = 0; i < MERGES; i++) {
    // Four planes of bytes: left low, left high, right low, right high.
    const left = tokens[planes[i]! + 256 * planes[i + MERGES]!]!;
    const right = tokens[planes[i + 2 * MERGES]! + 256 * planes[i + 3 * MERGES]!]!;
    ranks.set(`${left} ${right}`, i);
    tokens.push(left + right);
  }
  tokens.push("<|startoftext|>", "<|endoftext|>");
  return { vocab: new Map(tokens.map((token, id) => [token, id])), ranks };
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
