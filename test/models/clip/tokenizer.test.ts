/** CLIPTokenizer against transformers' slow one without ftfy (test/reference/clip-tokenizer.py). */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { TokenizerConfig } from "../../../src/models/clip/special-tokens.js";
import { CLIPTokenizer } from "../../../src/models/clip/tokenizer.js";

interface Fixture {
  readonly strings: readonly string[];
  readonly full: readonly { readonly tokens: readonly string[]; readonly ids: readonly number[]; readonly cut: string | null }[];
  readonly padded: Readonly<Record<string, readonly number[]>>;
  readonly smallVocab: readonly string[];
  readonly smallMerges: string;
  readonly small: readonly (readonly number[])[];
  readonly folders: readonly {
    readonly tokenizer_config: TokenizerConfig;
    readonly special_tokens_map?: TokenizerConfig;
    readonly maxLength: number;
    readonly pad: number;
    readonly texts: readonly {
      readonly text: string;
      readonly input_ids: readonly number[];
      readonly attention_mask: readonly number[];
    }[];
  }[];
}

const fixture = JSON.parse(
  readFileSync(new URL("../../reference/fixtures/clip-tokenizer.json", import.meta.url), "utf8"),
) as Fixture;
const vocab = Object.fromEntries(fixture.smallVocab.map((token, id) => [token, id]));
const merges = fixture.smallMerges;

describe("the published vocabulary", () => {
  let tokenizer: CLIPTokenizer;
  beforeAll(async () => {
    tokenizer = await CLIPTokenizer.openai();
  });

  it("has 49,408 tokens, with start and end last", () => {
    expect(tokenizer.size).toBe(49_408);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId, tokenizer.padTokenId]).toEqual([49406, 49407, 49407]);
    expect(tokenizer.modelMaxLength).toBe(77);
    expect(tokenizer.tokenIds("a photo of a cat")).toEqual([320, 1125, 539, 320, 2368]);
  });

  it("gives transformers' tokens and ids, Unicode's corners included", () => {
    fixture.strings.forEach((text, i) => {
      expect(tokenizer.tokenize(text).slice(0, 20), JSON.stringify(text)).toEqual(fixture.full[i]!.tokens);
      expect(tokenizer.tokenIds(text), JSON.stringify(text)).toEqual(fixture.full[i]!.ids);
    });
  });

  it("pads and cuts to 77, and says what was cut", () => {
    for (const [i, ids] of Object.entries(fixture.padded)) {
      const { ids: actual, attentionMask } = tokenizer.encode(fixture.strings[Number(i)]!);
      expect(actual).toEqual(ids);
      expect(attentionMask.length).toBe(77);
      expect(attentionMask.reduce((a, b) => a + b)).toBe(Math.min(77, fixture.full[Number(i)]!.ids.length + 2));
    }
    let cut = 0;
    fixture.strings.forEach((text, i) => {
      const wanted = fixture.full[i]!.cut ?? undefined;
      expect(tokenizer.encode(text).truncatedText, JSON.stringify(text)).toBe(wanted);
      if (wanted !== undefined) cut++;
    });
    expect(cut).toBe(4);
    expect("truncatedText" in tokenizer.encode("short")).toBe(false);
  });

  it("takes another length, and no padding", () => {
    expect(tokenizer.encode("a photo of a cat", { maxLength: 5 })).toEqual({
      ids: [49406, 320, 1125, 539, 49407],
      attentionMask: [1, 1, 1, 1, 1],
      truncatedText: "a cat",
    });
    expect(tokenizer.encode("cat", { pad: false }).ids).toEqual([49406, 2368, 49407]);
    expect(() => tokenizer.encode("cat", { maxLength: 1 })).toThrow(/at least 2/);
  });
});

describe("a tokenizer folder", () => {
  it("gives transformers' ids with a small vocabulary", () => {
    const tokenizer = CLIPTokenizer.fromFiles({ vocab, merges });
    fixture.strings.forEach((text, i) => {
      expect(tokenizer.tokenIds(text), JSON.stringify(text)).toEqual(fixture.small[i]);
    });
  });

  it.each(fixture.folders.map((f, i) => [i, f] as const))("takes special tokens from its files (%i)", (_, folder) => {
    const { tokenizer_config: config, special_tokens_map: specialTokensMap } = folder;
    const tokenizer = CLIPTokenizer.fromFiles({
      vocab,
      merges,
      config,
      ...(specialTokensMap === undefined ? {} : { specialTokensMap }),
    });
    expect([tokenizer.modelMaxLength, tokenizer.padTokenId]).toEqual([folder.maxLength, folder.pad]);
    for (const { text, input_ids, attention_mask } of folder.texts) {
      const { ids, attentionMask } = tokenizer.encode(text);
      expect(ids, text).toEqual(input_ids);
      expect(attentionMask, text).toEqual(attention_mask);
    }
  });

  it("names a broken merge, and gives unknown tokens their id", () => {
    expect(() => CLIPTokenizer.fromFiles({ vocab, merges: "#version\na b\nabc\n" })).toThrow(/line 3 is "abc"/);
    const poor = CLIPTokenizer.fromFiles({ vocab: { "a</w>": 0 }, merges: "#version", config: { unk_token: "a</w>" } });
    expect(poor.tokenIds("a z")).toEqual([0, 0]);
  });
});
