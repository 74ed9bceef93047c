// Contact sheets and side-by-side animations: clips in a grid with labels. Text is drawn with the letters of label-font.ts.

import { frameOf, type Clip, type Picture } from "./frames.js";
import { LETTER_HEIGHT, LETTER_OPACITIES, LETTER_WIDTHS, LETTERS } from "./label-font.js";
import { resize } from "./resample.js";

/** A colour, 8 bits each. */
type Color = readonly [number, number, number];

const PAPER: Color = [18, 18, 24];
const INK: Color = [232, 232, 238];
/** Space between cells, in pixels. */
const GAP = 4;
/** Height of a line of text with the space around it. */
const LINE = LETTER_HEIGHT + 4;

/** A canvas that grows no more. */
function canvas(width: number, height: number): Picture {
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < rgba.length; i += 4) rgba.set([...PAPER, 255], i);
  return { width, height, rgba };
}

/** Copies a picture to a place that holds it. */
function place(to: Picture, picture: Picture, left: number, top: number): void {
  const row = picture.width * 4;
  for (let y = 0; y < picture.height; y++)
    to.rgba.set(picture.rgba.subarray(y * row, (y + 1) * row), ((top + y) * to.width + left) * 4);
}

interface Letter {
  readonly width: number;
  /** Where its opacities begin, in half bytes. */
  readonly at: number;
}

let letters: { readonly table: ReadonlyMap<string, Letter>; readonly opacities: Uint8Array } | undefined;

function font() {
  if (letters) return letters;
  const table = new Map<string, Letter>();
  let at = 0;
  Array.from(LETTERS).forEach((c, i) => {
    table.set(c, { width: LETTER_WIDTHS[i]!, at });
    at += LETTER_WIDTHS[i]! * LETTER_HEIGHT;
  });
  return (letters = { table, opacities: Uint8Array.from(atob(LETTER_OPACITIES), (c) => c.charCodeAt(0)) });
}

/** Width of a text in pixels; letters that there are not show as `?`. */
export function textWidth(text: string): number {
  const { table } = font();
  return Array.from(text).reduce((sum, c) => sum + (table.get(c) ?? table.get("?")!).width, 0);
}

/** The text, cut with an ellipsis where it is wider than `width`. */
function fitted(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  const all = Array.from(text);
  while (all.length > 0 && textWidth(`${all.join("").trimEnd()}…`) > width) all.pop();
  return all.length === 0 ? "" : `${all.join("").trimEnd()}…`;
}

/** Writes one line within `width` pixels. */
function write(to: Picture, text: string, left: number, top: number, width: number): void {
  const { table, opacities } = font();
  let x = left;
  for (const c of fitted(text, width)) {
    const letter = table.get(c) ?? table.get("?")!;
    for (let p = 0; p < letter.width * LETTER_HEIGHT; p++) {
      const half = letter.at + p;
      const opacity = ((opacities[half >> 1]! >> (half % 2 === 0 ? 4 : 0)) & 15) / 15;
      if (opacity === 0) continue;
      const at = ((top + Math.floor(p / letter.width)) * to.width + x + (p % letter.width)) * 4;
      for (let k = 0; k < 3; k++) to.rgba[at + k] = Math.round(to.rgba[at + k]! * (1 - opacity) + INK[k]! * opacity);
    }
    x += letter.width;
  }
}

/** Clips beside each other. */
export interface Montage {
  /** Over everything; none where empty. */
  readonly title: string;
  readonly columns: readonly string[];
  /** A label and a clip per column each; all clips have one size. Absent clips leave their place empty. */
  readonly rows: readonly { readonly label: string; readonly clips: readonly (Clip | undefined)[] }[];
}

/** Size of a picture that is no wider and no higher than `most`. */
function within(width: number, height: number, most: number): readonly [number, number] {
  const scale = Math.min(1, most / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

function firstClip({ rows }: Montage): Clip {
  const clip = rows.flatMap((r) => r.clips).find((c) => c !== undefined);
  if (!clip) throw new RangeError("a montage has at least one clip");
  return clip;
}

/** All clips playing side by side, scaled down to cells of at most `most` pixels; shorter ones hold their last frame. */
export function sideBySide(montage: Montage, most = 256): Clip & { readonly rgba: Uint8Array<ArrayBuffer> } {
  const { title, columns, rows } = montage;
  const first = firstClip(montage);
  const [w, h] = within(first.width, first.height, most);
  const labels = rows.some((r) => r.label !== "") ? LINE : 0;
  const top = (title === "" ? 0 : LINE) + LINE;
  const width = even(GAP + columns.length * (w + GAP));
  const height = even(top + rows.length * (labels + h + GAP));
  const count = Math.max(...rows.flatMap((r) => r.clips.map((c) => c?.count ?? 0)));
  const base = canvas(width, height);
  if (title !== "") write(base, title, GAP, 2, width - 2 * GAP);
  columns.forEach((label, c) => write(base, label, GAP + c * (w + GAP), top - LINE + 2, w));
  rows.forEach(({ label }, r) => {
    if (labels > 0) write(base, label, GAP, top + r * (labels + h + GAP) + 2, width - 2 * GAP);
  });
  const rgba = new Uint8Array(count * width * height * 4);
  for (let i = 0; i < count; i++) {
    const frame: Picture = { width, height, rgba: base.rgba.slice() };
    rows.forEach(({ clips }, r) =>
      clips.forEach((clip, c) => {
        if (!clip) return;
        const picture = resize(frameOf(clip, Math.min(i, clip.count - 1)), w, h, "lanczos");
        place(frame, picture, GAP + c * (w + GAP), top + r * (labels + h + GAP) + labels);
      }),
    );
    rgba.set(frame.rgba, i * frame.rgba.length);
  }
  return { width, height, count, rgba };
}

/** A still: of every clip a line of at most `frames` frames, evenly picked with the first and the last, its labels above. */
export function contactSheet(
  montage: Montage,
  { frames = 8, most = 128 }: { readonly frames?: number; readonly most?: number } = {},
): Picture {
  const { title, columns, rows } = montage;
  const first = firstClip(montage);
  const [w, h] = within(first.width, first.height, most);
  const shown = Math.min(frames, Math.max(...rows.flatMap((r) => r.clips.map((c) => c?.count ?? 1))));
  const lines = rows.flatMap(({ label, clips }) =>
    clips.flatMap((clip, c) => (clip ? [{ clip, text: [label, columns[c]].filter((t) => t).join(" · ") }] : [])),
  );
  const top = title === "" ? 0 : LINE;
  const sheet = canvas(2 * GAP + shown * w, top + lines.length * (LINE + h + GAP));
  if (title !== "") write(sheet, title, GAP, 2, sheet.width - 2 * GAP);
  lines.forEach(({ clip, text }, i) => {
    const y = top + i * (LINE + h + GAP);
    write(sheet, text, GAP, y + 2, sheet.width - 2 * GAP);
    for (let k = 0; k < Math.min(shown, clip.count); k++) {
      const index = shown === 1 ? 0 : Math.round((k * (clip.count - 1)) / (Math.min(shown, clip.count) - 1 || 1));
      place(sheet, resize(frameOf(clip, index), w, h, "lanczos"), GAP + k * w, y + LINE);
    }
  });
  return sheet;
}

/** Videos take even sizes. */
function even(n: number): number {
  return n + (n % 2);
}
