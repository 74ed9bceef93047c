/**
 * Byte-pair encoding over bytes written as printable characters (GPT-2's table), with "</w>" at the end of a word, as
 * CLIP uses it (openai/CLIP, simple_tokenizer).
 */

const END = "</w>";

/** The 256 characters that stand for bytes: printable Latin-1 for itself, the others from U+0100 on, in byte order. */
const BYTE_TO_CHAR: readonly string[] = (() => {
  const printable = (b: number): boolean => (b > 32 && b < 127) || (b > 160 && b < 256 && b !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
})();

const CHAR_TO_BYTE = new Map(BYTE_TO_CHAR.map((char, byte) => [char, byte]));

/** The alphabet in the order of the published vocabulary: printable bytes first. */
export const ALPHABET: readonly string[] = BYTE_TO_CHAR.toSorted((a, b) => a.charCodeAt(0) - b.charCodeAt(0));

/** A word's UTF-8 bytes as characters. */
export function bytesToUnicode(word: string): string[] {
  return Array.from(new TextEncoder().encode(word), (byte) => BYTE_TO_CHAR[byte]!);
}

/** Joins the characters of one word by the merges of lowest rank, until none applies. @param ranks keyed "left right". */
export function mergeWord(chars: readonly string[], ranks: ReadonlyMap<string, number>): string[] {
  let parts = [...chars.slice(0, -1), chars.at(-1)! + END];
  while (parts.length > 1) {
    let best = Infinity;
    let at = 0;
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(`${parts[i]!} ${parts[i + 1]!}`) ?? Infinity;
      if (rank < best) [best, at] = [rank, i];
    }
    if (best === Infinity) break;
    const [left, right] = [parts[at]!, parts[at + 1]!];
    const merged: string[] = [];
    for (let i = 0; i < parts.length; i++) {
      if (parts[i] === left && parts[i + 1] === right) {
        merged.push(left + right);
        i++;
      } else {
        merged.push(parts[i]!);
      }
    }
    parts = merged;
  }
  return parts;
}

/** The text of tokens, a space after each word; bytes that are no UTF-8 become U+FFFD. */
export function decodeBpe(tokens: readonly string[]): string {
  const bytes: number[] = [];
  for (const token of tokens) {
    const ends = token.endsWith(END);
    for (const char of ends ? token.slice(0, -END.length) : token) {
      const byte = CHAR_TO_BYTE.get(char);
      if (byte !== undefined) bytes.push(byte);
      else bytes.push(...new TextEncoder().encode(char)); // an added token, written as it is
    }
    if (ends) bytes.push(32);
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
