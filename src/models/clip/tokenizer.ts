/**
 * CLIPTokenizer: prompt → token ids by byte-level byte-pair encoding, as transformers' CLIPTokenizer does it without
 * ftfy: special tokens are cut out first; control and format characters vanish, white space becomes spaces, ideographs
 * stand alone, NFC, lower case; the CLIP pattern cuts words; each word's UTF-8 bytes are merged by rank.
 */
import { bytesToUnicode, decodeBpe, mergeWord } from "./bpe.js";
import { readSpecialTokens, type SpecialTokens, type TokenizerConfig } from "./special-tokens.js";

/** Sequence length of CLIP's text encoders, for folders that do not say. */
const DEFAULT_MAX_LENGTH = 77;
/** transformers lets no more merges in than the published vocabulary has. */
const MAX_MERGES = 49_152 - 256 - 2;

/**
 * Words: the literal special tokens, contractions, letters, one digit, anything else. Text is lower case by now, so all
 * that is left of transformers' IGNORECASE is that it takes ſ for s, and that U+0345, whose upper case is a letter
 * while it is none itself, belongs to no alternative and drops out.
 */
const WORDS = /<\|[sſ]tartoftext\|>|<\|endoftext\|>|'(?:[sſ]|t|re|ve|m|ll|d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}\u0345]+/gu;
const IDEOGRAPH =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b820}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** A tokenizer folder's files, parsed. */
export interface CLIPTokenizerFiles {
  /** vocab.json: token → id. */
  readonly vocab: Readonly<Record<string, number>>;
  /** merges.txt: a line to skip, then two tokens a line, best first. */
  readonly merges: string;
  /** tokenizer_config.json. */
  readonly config?: TokenizerConfig;
  /** special_tokens_map.json. */
  readonly specialTokensMap?: TokenizerConfig;
}

export interface EncodeOptions {
  /** Ids in all, start and end included; longer prompts are cut. `modelMaxLength` by default. */
  readonly maxLength?: number;
  /** Whether to fill up to `maxLength` with the padding token; true by default. */
  readonly pad?: boolean;
}

export interface Encoding {
  /** Start token, the prompt's tokens, end token, padding. */
  readonly ids: readonly number[];
  /** 1 for a token, 0 for padding. */
  readonly attentionMask: readonly number[];
  /** The words that did not fit, if any did not. */
  readonly truncatedText?: string;
}

export class CLIPTokenizer {
  readonly modelMaxLength: number;
  readonly bosTokenId: number;
  readonly eosTokenId: number;
  readonly padTokenId: number;
  readonly #vocab: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #special: SpecialTokens;
  readonly #tokens = new Map<number, string>();
  readonly #words = new Map<string, readonly string[]>();

  private constructor(
    vocab: ReadonlyMap<string, number>,
    ranks: ReadonlyMap<string, number>,
    config: TokenizerConfig = {},
    specialTokensMap?: TokenizerConfig,
  ) {
    this.#vocab = vocab;
    this.#ranks = ranks;
    for (const [token, id] of vocab) this.#tokens.set(id, token);
    this.#special = readSpecialTokens(vocab, config, specialTokensMap);
    for (const [token, id] of this.#special.ids) this.#tokens.set(id, token);
    // Folders without a limit carry a number around 1e30.
    const limit = config.model_max_length ?? DEFAULT_MAX_LENGTH;
    this.modelMaxLength = limit < 1e6 ? limit : DEFAULT_MAX_LENGTH;
    this.bosTokenId = this.#special.ids.get(this.#special.bos)!;
    this.eosTokenId = this.#special.ids.get(this.#special.eos)!;
    this.padTokenId = this.#special.ids.get(this.#special.pad)!;
  }

  /**
   * A tokenizer from a folder's parsed files.
   * @throws when a merge line is not two tokens.
   */
  static fromFiles({ vocab, merges, config, specialTokensMap }: CLIPTokenizerFiles): CLIPTokenizer {
    const lines = merges
      .trim()
      .split(/\r?\n/)
      .slice(1, MAX_MERGES + 1);
    const ranks = new Map<string, number>();
    lines.forEach((line, rank) => {
      const pair = line.trim().split(/\s+/);
      if (pair.length !== 2) {
        throw new Error(`merges.txt: line ${rank + 2} is "${line}", expected two tokens; is this CLIP's merges.txt?`);
      }
      ranks.set(pair.join(" "), rank);
    });
    return new CLIPTokenizer(new Map(Object.entries(vocab)), ranks, config, specialTokensMap);
  }

  /**
   * The tokenizer of Stable Diffusion 1.x (openai/clip-vit-large-patch14: 49,408 tokens), whose vocabulary this package
   * carries and loads when asked: for checkpoints that are one file and have none.
   */
  static async openai(config?: TokenizerConfig): Promise<CLIPTokenizer> {
    const { openaiVocabulary } = await import("./openai-vocabulary.js");
    const { vocab, ranks } = await openaiVocabulary();
    return new CLIPTokenizer(vocab, ranks, config);
  }

  /** Number of tokens, added ones included. */
  get size(): number {
    return this.#tokens.size;
  }

  /** What its answers depend on, as text: tells tokenizers apart. */
  get description(): string {
    const { modelMaxLength, bosTokenId, eosTokenId, padTokenId } = this;
    const tables = [this.#vocab, this.#ranks, this.#special.ids].map((table) => [...table]);
    return JSON.stringify([...tables, modelMaxLength, bosTokenId, eosTokenId, padTokenId]);
  }

  /** The tokens of a text, without start and end; "</w>" ends a word. */
  tokenize(text: string): string[] {
    return this.#special.split(text).flatMap((part) => (part.special ? [part.text] : this.#tokenizePlain(part.text)));
  }

  /** The ids of a text, without start, end, padding and limit. What the vocabulary lacks becomes the unknown token. */
  tokenIds(text: string): number[] {
    const unknown = this.#special.ids.get(this.#special.unk)!;
    return this.tokenize(text).map((token) => this.#special.ids.get(token) ?? this.#vocab.get(token) ?? unknown);
  }

  /**
   * A prompt as the text encoder takes it.
   * @throws when maxLength leaves no room for start and end.
   */
  encode(text: string, { maxLength = this.modelMaxLength, pad = true }: EncodeOptions = {}): Encoding {
    if (!Number.isSafeInteger(maxLength) || maxLength < 2) {
      throw new Error(`maxLength ${maxLength} has no room for the start and end tokens; use at least 2.`);
    }
    const all = this.tokenIds(text);
    const ids = [this.bosTokenId, ...all.slice(0, maxLength - 2), this.eosTokenId];
    const filler = pad ? maxLength - ids.length : 0;
    const dropped = all.slice(maxLength - 2);
    return {
      ids: [...ids, ...Array.from({ length: filler }, () => this.padTokenId)],
      attentionMask: [...ids.map(() => 1), ...Array.from({ length: filler }, () => 0)],
      ...(dropped.length > 0 ? { truncatedText: this.decode(dropped) } : {}),
    };
  }

  /** The text of ids: lower case, words apart. Unknown ids are left out. */
  decode(ids: readonly number[]): string {
    return decodeBpe(ids.map((id) => this.#tokens.get(id) ?? "")).trim();
  }

  #tokenizePlain(text: string): string[] {
    const cleaned = text
      .replace(/[^\P{C}\t\n\r]|\ufffd/gu, "") // control, format, private, unassigned
      .replace(/[\t\n\r\p{Zs}]/gu, " ")
      .replace(IDEOGRAPH, " $& ")
      .normalize("NFC");
    // Lower case goes word by word: the form of a final sigma depends on where the word ends.
    const words = cleaned.split(/[ \u2028\u2029]+/).map((word) => word.toLowerCase());
    return (words.join(" ").match(WORDS) ?? []).flatMap((word) => this.#bpe(word));
  }

  #bpe(word: string): readonly string[] {
    const known = this.#words.get(word);
    if (known !== undefined) return known;
    const literal = word === "<|startoftext|>" || word === "<|endoftext|>";
    const tokens = literal ? [word] : mergeWord(bytesToUnicode(word), this.#ranks);
    this.#words.set(word, tokens);
    return tokens;
  }
}
