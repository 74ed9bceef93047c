// A prompt as rows of token ids that the text encoder takes, each as long as its positions. Two ways:
//   plain: one row, the text as it stands, what does not fit cut off (diffusers).
//   marked up: weights, and as many rows as the prompt needs (A1111: rows of 75 tokens between start and end tokens; a row
//   that is full breaks after a comma among its last 20 tokens; BREAK ends a row).
// Textual-inversion embeddings stand for their names in both: each of their vectors takes the place of one token.

import { parsePrompt } from "./prompt-syntax.js";

/** What prompts ask of a tokenizer; CLIPTokenizer is one. */
export interface PromptTokenizer {
  /** Ids of a row, start and end included. */
  readonly modelMaxLength: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly padTokenId: number;
  tokenIds(text: string): readonly number[];
  decode(ids: readonly number[]): string;
}

/** A textual-inversion embedding: vectors that stand for a word. */
export interface PromptEmbedding {
  /** What prompts call it. */
  readonly name: string;
  /** One or more, each of the text encoder's width. */
  readonly vectors: readonly Float32Array[];
}

/** One row for the text encoder. */
export interface PromptChunk {
  /** `modelMaxLength` ids: start, tokens, end, padding. */
  readonly ids: readonly number[];
  /** Weight of each. */
  readonly weights: readonly number[];
  /** Vectors that replace the embedding of the id at `at`. */
  readonly vectors: readonly { readonly at: number; readonly values: Float32Array }[];
}

/** A prompt, cut. */
export interface ChunkedPrompt {
  readonly chunks: readonly PromptChunk[];
  /** What did not fit; plain prompts only. */
  readonly truncatedText?: string;
}

/** A token: its id, or the vector in its place. */
interface Token {
  readonly id: number;
  readonly weight: number;
  readonly vector?: Float32Array;
  /** What the vector stands for. */
  readonly name?: string;
}

/** Tokens before the end of a full row among which a comma is looked for (A1111's default). */
const COMMA_REACH = 20;

/** Cuts a prompt into rows; at least one. */
export function chunkPrompt(
  tokenizer: PromptTokenizer,
  prompt: string,
  { plain = false, embeddings = [] }: { plain?: boolean; embeddings?: readonly PromptEmbedding[] } = {},
): ChunkedPrompt {
  const room = tokenizer.modelMaxLength - 2;
  const find = finder(embeddings);
  if (plain) {
    const tokens = tokensOf(tokenizer, prompt, 1, find).flat();
    const left = tokens.slice(room);
    const chunk = closed(tokenizer, tokens.slice(0, room));
    return { chunks: [chunk], ...(left.length > 0 && { truncatedText: textOf(tokenizer, left) }) };
  }
  const [comma, ...more] = tokenizer.tokenIds(",");
  const isComma = (t: Token) => more.length === 0 && t.vector === undefined && t.id === comma;
  const chunks: PromptChunk[] = [];
  let row: Token[] = [];
  let lastComma = -1;
  const next = (rest: Token[] = []): void => {
    chunks.push(closed(tokenizer, row));
    row = rest;
    lastComma = -1;
  };
  for (const part of parsePrompt(prompt)) {
    if (part === "BREAK") {
      next();
      continue;
    }
    // The vectors of one embedding stay together.
    for (const group of tokensOf(tokenizer, part.text, part.weight, find)) {
      if (isComma(group[0]!)) lastComma = row.length;
      else if (row.length === room && lastComma !== -1 && row.length - lastComma <= COMMA_REACH)
        next(row.splice(lastComma + 1));
      if (row.length + group.length > room) next();
      row.push(...group);
    }
  }
  if (row.length > 0 || chunks.length === 0) next();
  return { chunks };
}

/** An empty row, which fills up shorter prompts beside longer ones. */
export function emptyChunk(tokenizer: PromptTokenizer): PromptChunk {
  return closed(tokenizer, []);
}

function closed(t: PromptTokenizer, tokens: readonly Token[]): PromptChunk {
  const fill = t.modelMaxLength - 2 - tokens.length;
  const ids = [t.bosTokenId, ...tokens.map((x) => x.id), t.eosTokenId];
  return {
    ids: [...ids, ...Array.from({ length: fill }, () => t.padTokenId)],
    weights: [1, ...tokens.map((x) => x.weight), ...Array.from({ length: fill + 1 }, () => 1)],
    vectors: tokens.flatMap((x, i) => (x.vector ? [{ at: i + 1, values: x.vector }] : [])),
  };
}

type Finder = (text: string) => readonly (string | PromptEmbedding)[];

/** Cuts embeddings' names out of a text: whole words in any case, the longest name first. */
function finder(embeddings: readonly PromptEmbedding[]): Finder {
  if (embeddings.length === 0) return (text) => [text];
  const byName = new Map(embeddings.map((e) => [e.name.toLowerCase(), e]));
  const names = [...byName.keys()].toSorted((a, b) => b.length - a.length);
  const edge = (name: string, at: number, look: string) => (/[\p{L}\p{N}_]/u.test(name.at(at)!) ? look : "");
  const patterns = names.map(
    (name) =>
      edge(name, 0, String.raw`(?<![\p{L}\p{N}_])`) +
      name.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`) +
      edge(name, -1, String.raw`(?![\p{L}\p{N}_])`),
  );
  const pattern = new RegExp(`(?:embedding:)?(${patterns.join("|")})`, "giu");
  return (text) => {
    const pieces: (string | PromptEmbedding)[] = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      pieces.push(text.slice(at, match.index), byName.get(match[1]!.toLowerCase())!);
      at = match.index + match[0].length;
    }
    return [...pieces, text.slice(at)];
  };
}

/** Tokens of a text in groups that stay together. */
function tokensOf(tokenizer: PromptTokenizer, text: string, weight: number, find: Finder): Token[][] {
  return find(text).flatMap((piece): Token[][] =>
    typeof piece === "string"
      ? tokenizer.tokenIds(piece).map((id) => [{ id, weight }])
      : [piece.vectors.map((vector, i) => ({ id: 0, weight, vector, name: i === 0 ? piece.name : "" }))],
  );
}

function textOf(tokenizer: PromptTokenizer, tokens: readonly Token[]): string {
  const words: string[] = [];
  let ids: number[] = [];
  const flush = (): void => {
    if (ids.length > 0) words.push(tokenizer.decode(ids));
    ids = [];
  };
  for (const t of tokens) {
    if (t.vector === undefined) ids.push(t.id);
    else {
      flush();
      words.push(t.name ?? "");
    }
  }
  flush();
  return words.filter((w) => w !== "").join(" ");
}
