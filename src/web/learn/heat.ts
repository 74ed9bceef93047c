// A word's attention as pictures: the estimate after a step, dimmed, glowing where the word acts. Pure.

import type { AttentionMap, Frames } from "../../index.js";

/** The colour of full attention. */
const GLOW = [255, 122, 64] as const;
/** How much of the picture is seen where there is none. */
const DIM = 0.45;

/** `under` and `map` are of one size; the strongest weight of all frames glows fully. */
export function heatOf(map: AttentionMap, under: Frames): Frames {
  const { width, height, count, values } = map;
  const rgba = new Uint8Array(values.length * 4);
  const most = values.reduce((a, b) => Math.max(a, b), 1e-9);
  values.forEach((value, i) => {
    const part = value / most;
    for (let c = 0; c < 3; c++)
      rgba[4 * i + c] = Math.round((1 - part) * DIM * under.rgba[4 * i + c]! + part * GLOW[c]!);
    rgba[4 * i + 3] = 255;
  });
  return { width, height, count, rgba };
}

/** A prompt's words, each once, without marks of weight and the signs between sentences. */
export function wordsOf(prompt: string): readonly string[] {
  const words = prompt.replace(/:[\d.]+\)/g, " ").match(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu) ?? [];
  return [...new Set(words)];
}
