// Prompt markup as people write it for A1111 and ComfyUI, to stretches of text with weights:
//   (word) × 1.1    ((word)) × 1.21    (word:1.3) × 1.3    [word] ÷ 1.1    \( \) \[ \] \\ literal    BREAK begins a new chunk
// Brackets nest by multiplying; one that is never closed reaches to the end of the prompt. A closing bracket without an
// opening one, and a colon outside of brackets, are text.

/** Text of one weight, or the request for a new chunk. */
export type PromptPart = { readonly text: string; readonly weight: number } | "BREAK";

const ROUND = 1.1;
const SQUARE = 1 / 1.1;
const TOKENS = /\\[()[\]\\]?|[([\])]|:\s*([+-]?[.\d]+)\s*\)|[^\\()[\]:]+|:/g;
const BREAK = /\s*\bBREAK\b\s*/;

/** Cuts a prompt into stretches of equal weight. @returns at least one part */
export function parsePrompt(prompt: string): readonly PromptPart[] {
  const parts: { text: string; weight: number; break: boolean }[] = [];
  const open: Record<"(" | "[", number[]> = { "(": [], "[": [] };
  const scale = (from: number | undefined, factor: number): void => {
    for (const part of parts.slice(from)) part.weight *= factor;
  };
  for (const [token, weight] of prompt.matchAll(TOKENS)) {
    const factor = weight === undefined ? Number.NaN : Number(weight);
    if (token.startsWith("\\"))
      parts.push({ text: token.length > 1 ? token.slice(1) : token, weight: 1, break: false });
    else if (token === "(" || token === "[") open[token].push(parts.length);
    else if (!Number.isNaN(factor) && open["("].length > 0) scale(open["("].pop(), factor);
    else if (token === ")" && open["("].length > 0) scale(open["("].pop(), ROUND);
    else if (token === "]" && open["["].length > 0) scale(open["["].pop(), SQUARE);
    else
      for (const [i, text] of token.split(BREAK).entries()) {
        if (i > 0) parts.push({ text: "", weight: 1, break: true });
        parts.push({ text, weight: 1, break: false });
      }
  }
  for (const from of open["("]) scale(from, ROUND);
  for (const from of open["["]) scale(from, SQUARE);
  return joined(parts);
}

/** Neighbours of one weight as one stretch: "(un)(broken)" is one word. */
function joined(parts: readonly { text: string; weight: number; break: boolean }[]): readonly PromptPart[] {
  const list: PromptPart[] = [];
  for (const { text, weight, break: breaks } of parts) {
    const last = list.at(-1);
    if (breaks) list.push("BREAK");
    else if (last !== undefined && last !== "BREAK" && last.weight === weight)
      list[list.length - 1] = { text: last.text + text, weight };
    else list.push({ text, weight });
  }
  return list.length === 0 ? [{ text: "", weight: 1 }] : list;
}
