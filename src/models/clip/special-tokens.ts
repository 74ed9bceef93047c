/**
 * The special and added tokens of a tokenizer folder: which text each is, its id, and how they are cut out of a prompt.
 * tokenizer_config.json rules where it lists added_tokens_decoder; in older folders special_tokens_map.json does.
 */

/** A token as the JSON files write it. */
export interface AddedToken {
  readonly content: string;
  /** Takes the white space on its left with it. */
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  /** Counts only where it touches no other text. */
  readonly single_word?: boolean;
}

type Token = string | AddedToken | null;

/** The fields read from tokenizer_config.json and special_tokens_map.json. */
export interface TokenizerConfig {
  readonly model_max_length?: number;
  readonly bos_token?: Token;
  readonly eos_token?: Token;
  readonly unk_token?: Token;
  readonly pad_token?: Token;
  readonly additional_special_tokens?: readonly Token[] | null;
  readonly added_tokens_decoder?: Readonly<Record<string, AddedToken>>;
  readonly [field: string]: unknown;
}

/** A stretch of a prompt: ordinary text, or exactly one special token. */
interface Part {
  readonly text: string;
  readonly special: boolean;
}

export interface SpecialTokens {
  readonly bos: string;
  readonly eos: string;
  readonly unk: string;
  readonly pad: string;
  /** Of every special and added token. */
  readonly ids: ReadonlyMap<string, number>;
  split(text: string): readonly Part[];
}

/** Reads the special tokens; those that the vocabulary lacks get the ids after its last. */
export function readSpecialTokens(
  vocab: ReadonlyMap<string, number>,
  config: TokenizerConfig,
  specialTokensMap: TokenizerConfig = {},
): SpecialTokens {
  const first = config.added_tokens_decoder === undefined ? { ...config, ...specialTokensMap } : config;
  const tokens = new Map<string, AddedToken>();
  const ids = new Map<string, number>();
  for (const [id, token] of Object.entries(config.added_tokens_decoder ?? {})) {
    tokens.set(token.content, token);
    ids.set(token.content, Number(id));
  }
  let next = Math.max(-1, ...ids.values());
  for (const id of vocab.values()) next = Math.max(next, id);
  const register = (token: Token | undefined, byDefault: string): string => {
    const { content, ...flags } = typeof token === "string" ? { content: token } : (token ?? { content: byDefault });
    if (!tokens.has(content)) {
      tokens.set(content, { content, ...flags });
      ids.set(content, vocab.get(content) ?? ++next);
    }
    return content;
  };
  const bos = register(first.bos_token, "<|startoftext|>");
  const eos = register(first.eos_token, "<|endoftext|>");
  const unk = register(first.unk_token, "<|endoftext|>");
  const pad = register(first.pad_token, "<|endoftext|>");
  for (const token of first.additional_special_tokens ?? []) if (token !== null) register(token, "");
  return { bos, eos, unk, pad, ids, split: (text) => splitAt(text, tokens) };
}

function splitAt(text: string, tokens: ReadonlyMap<string, AddedToken>): readonly Part[] {
  const longestFirst = [...tokens.keys()].filter((t) => t !== "").toSorted((a, b) => b.length - a.length);
  const pattern = longestFirst.map((t) => t.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)).join("|");
  // Every odd piece is a special token.
  const pieces = text.split(new RegExp(`(${pattern})`, "u"));
  for (let i = 1; i < pieces.length; i += 2) {
    const { content, lstrip, rstrip, single_word } = tokens.get(pieces[i]!)!;
    if (rstrip === true) pieces[i + 1] = pieces[i + 1]!.trimStart();
    if (lstrip === true) pieces[i - 1] = pieces[i - 1]!.trimEnd();
    if (single_word !== true) continue;
    if (/[^ ]$/u.test(pieces[i - 1]!)) {
      pieces[i - 1] += content;
      pieces[i] = "";
    } else if (/^[^ ]/u.test(pieces[i + 1]!)) {
      pieces[i + 1] = content + pieces[i + 1]!;
      pieces[i] = "";
    }
  }
  return pieces.map((piece, i) => ({ text: piece, special: i % 2 === 1 })).filter((part) => part.text !== "");
}
