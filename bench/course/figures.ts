// The course's figures: which values a step touches, as squares; what lies where in memory, as strips.

import { COLOURS, line, picture, rectangle, text } from "../charts/svg.js";

const CELL = 14;
const [BLUE, ORANGE, GREEN, PINK] = COLOURS;
const PALE = "#eaeef2";

/** A grid of cells at x, y with a caption above; `fill` gives a cell's colour. */
function grid(
  x: number,
  y: number,
  rows: number,
  columns: number,
  caption: string,
  fill: (row: number, column: number) => string,
): string[] {
  const cells = Array.from({ length: rows * columns }, (_, i) => {
    const [r, c] = [Math.floor(i / columns), i % columns];
    return rectangle(x + c * CELL, y + r * CELL, CELL - 2, CELL - 2, { fill: fill(r, c), rx: 1 });
  });
  return [text(x, y - 8, caption), ...cells];
}

/** One panel of the product: the loads and the results of a thread (or of a team). */
function product(x: number, title: string, note: string, rows: number, columns: number): string[] {
  const n = 8;
  const top = 60;
  return [
    text(x, 22, title, { "font-weight": "bold" }),
    ...grid(x + n * CELL + 24, top, n, n, "B", (_, c) => (c < columns ? ORANGE : PALE)),
    ...grid(x, top + n * CELL + 34, n, n, "A", (r) => (r < rows ? BLUE : PALE)),
    ...grid(x + n * CELL + 24, top + n * CELL + 34, n, n, "Y", (r, c) => (r < rows && c < columns ? GREEN : PALE)),
    text(x, top + 2 * n * CELL + 58, note),
  ];
}

function strip(x: number, y: number, cells: readonly string[], caption: string): string[] {
  return [
    text(x, y - 8, caption),
    ...cells.map((fill, i) => rectangle(x + i * CELL, y, CELL - 2, CELL * 1.5, { fill, rx: 1 })),
  ];
}

export const FIGURES: Readonly<Record<string, () => string>> = {
  matmul: () =>
    picture(860, 360, "What a thread loads and computes", [
      ...product(16, "Plain", "2 values loaded for 1 product", 1, 1),
      ...product(300, "Four columns", "5 values for 4 products", 1, 4),
      ...product(584, "Block of 4 × 4", "8 values for 16 products", 4, 4),
    ]),
  convolution: () => {
    const seen = (r: number, c: number) => r >= 1 && r <= 3 && c >= 2 && c <= 4;
    return picture(860, 240, "A convolution as a product that is never stored", [
      ...grid(16, 60, 7, 7, "pixels, each with its channels", (r, c) =>
        r === 2 && c === 3 ? GREEN : seen(r, c) ? BLUE : PALE,
      ),
      text(190, 110, "→"),
      ...grid(230, 60, 1, 27, "a row of the product: 3 × 3 pixels · channels, read where they are", (_, c) =>
        Math.floor(c / 3) % 2 === 0 ? BLUE : COLOURS[5],
      ),
      ...grid(230, 120, 3, 27, "a panel of weights, packed once in the order of reading", (_, c) =>
        Math.floor(c / 3) % 2 === 0 ? ORANGE : "#f3c669",
      ),
      ...grid(670, 60, 1, 3, "an output pixel", () => GREEN),
      text(
        16,
        210,
        "Stored, the rows of all pixels would be nine times the picture (im2col); here a thread computes their addresses.",
      ),
    ]);
  },
  "group-norm": () =>
    picture(780, 250, "Who reads what in GroupNorm", [
      ...grid(16, 50, 8, 16, "[pixels, channels], 4 groups of 4 channels", (_, c) => COLOURS[Math.floor(c / 4)]!),
      ...grid(290, 50, 8, 16, "a thread a group: strides", (_, c) => (c < 4 ? BLUE : PALE)),
      ...grid(544, 50, 8, 16, "two passes: whole rows, in order", (r) => (r < 4 ? BLUE : ORANGE)),
      text(
        16,
        200,
        "Memory delivers neighbours together (64 bytes at a time on most machines). A thread that owns a group takes a few",
      ),
      text(
        16,
        218,
        "channels of each row and wastes the rest; threads that take neighbouring channels of the same row waste nothing, and",
      ),
      text(16, 236, "their sums are joined by group afterwards, from a table that is small."),
    ]),
  attention: () =>
    picture(860, 300, "Scores that are never stored", [
      ...grid(16, 60, 8, 3, "q", () => BLUE),
      ...grid(90, 60, 8, 20, "scores: one tile at a time", (_, c) =>
        c >= 8 && c < 12 ? PINK : c < 8 ? "#f0d3e2" : PALE,
      ),
      ...grid(90, 216, 3, 20, "k, turned", (_, c) => (c >= 8 && c < 12 ? ORANGE : PALE)),
      ...grid(400, 60, 8, 3, "y so far", () => GREEN),
      text(480, 80, "largest score so far, sum so far: a number a row each"),
      text(480, 104, "a larger score appears: y and sum fade by exp(old − new)"),
      text(480, 128, "at the end: y / sum"),
      text(
        90,
        286,
        "4096 tokens, 8 heads: stored scores would be 512 MiB a frame in f32. Kept: two numbers and one result a row.",
      ),
    ]),
  temporal: () => {
    const frames = [BLUE, ORANGE, GREEN, PINK];
    const one = Array.from({ length: 32 }, (_, i) => (i % 8 === 3 ? frames[Math.floor(i / 8)]! : PALE));
    const turned = Array.from({ length: 32 }, (_, i) => (i >= 12 && i < 16 ? frames[i - 12]! : PALE));
    return picture(720, 230, "Frames of one position in memory", [
      ...strip(16, 50, one, "[frames, positions]: the four frames of position 3, a frame apart"),
      ...[8, 16, 24].map((i) => line(16 + i * CELL - 1, 46, 16 + i * CELL - 1, 76, { stroke: "#1f2328" })),
      ...strip(16, 130, turned, "[positions, frames]: what a transpose would make of it"),
      text(
        16,
        190,
        "A transpose reads and writes everything once, twice per attention (there and back): as many bytes as the attention",
      ),
      text(16, 208, "itself. A stride costs nothing: the kernel is told how far apart the items of a sequence are."),
    ]);
  },
};
