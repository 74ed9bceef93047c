// Pictures to what ControlNets were trained to read, where that takes no network: edges (Canny as OpenCV, Sobel as scikit-image),
// grey, scribbles out of drawings, blurred tiles. Results are opaque and of the picture's size.

import { PictureError } from "./errors.js";
import { frameOf, type Clip, type Picture } from "./frames.js";
import { resize } from "./resample.js";

/** What a preprocessor takes after its name, with defaults. */
export const PREPROCESSORS = {
  canny: [100, 200],
  softedge: [],
  grey: [],
  scribble: [127],
  tile: [4],
} as const satisfies Readonly<Record<string, readonly number[]>>;
export type PreprocessorName = keyof typeof PREPROCESSORS;

/** A preprocessor with its numbers. */
export interface Preprocessor {
  readonly name: PreprocessorName;
  /** canny: lower and upper threshold; scribble: what is darker is a line; tile: how many pixels become one. */
  readonly numbers?: readonly number[];
}

/** A preprocessor's numbers, with defaults. @throws PictureError for those that cannot work */
export function checkedNumbers({ name, numbers = [] }: Preprocessor): readonly number[] {
  const values = PREPROCESSORS[name].map((missing, i) => numbers[i] ?? missing);
  if (numbers.length > values.length || values.some((v) => !Number.isFinite(v) || v < 0))
    throw new PictureError(
      `${name} takes ${values.length === 0 ? "no numbers" : values.length === 1 ? "one number of 0 or more" : `up to ${values.length} numbers of 0 or more`}, got ${numbers.join(", ")}`,
    );
  if (name === "tile" && values[0]! < 1)
    throw new PictureError(`tile takes how many pixels become one, at least 1, got ${values[0]!}`);
  return values;
}

/** Every frame preprocessed. @throws PictureError for numbers that cannot work */
export function preprocess(clip: Clip, preprocessor: Preprocessor): Clip {
  const { name } = preprocessor;
  const [a = 0, b = 0] = checkedNumbers(preprocessor);
  const run = (p: Picture): Picture => {
    if (name === "tile") return tile(p, a);
    const plane = {
      canny: () => canny(p, a, b),
      softedge: () => softEdge(p),
      grey: () => grey(p),
      scribble: () => scribble(p, a),
    };
    return opaqueGrey(p, plane[name]());
  };
  const rgba = new Uint8Array(clip.rgba.length);
  for (let i = 0; i < clip.count; i++) rgba.set(run(frameOf(clip, i)).rgba, i * clip.width * clip.height * 4);
  return { width: clip.width, height: clip.height, count: clip.count, rgba };
}

function opaqueGrey({ width, height }: Picture, plane: Uint8Array): Picture {
  const rgba = new Uint8Array(plane.length * 4);
  for (const [i, v] of plane.entries()) rgba.set([v, v, v, 255], 4 * i);
  return { width, height, rgba };
}

/** Luminance as PIL's mode "L" has it (ITU-R 601, 16 fractional bits). */
export function grey({ rgba }: Picture): Uint8Array {
  const at = (i: number, k: number) => rgba[4 * i + k]!;
  return Uint8Array.from(
    { length: rgba.length / 4 },
    (_, i) => (at(i, 0) * 19595 + at(i, 1) * 38470 + at(i, 2) * 7471 + 0x8000) >> 16,
  );
}

/** Dark lines on light paper as white on black (ControlNet's scribble reads those): darkest channel below `threshold`. */
function scribble({ rgba }: Picture, threshold: number): Uint8Array {
  return Uint8Array.from({ length: rgba.length / 4 }, (_, i) =>
    Math.min(rgba[4 * i]!, rgba[4 * i + 1]!, rgba[4 * i + 2]!) < threshold ? 255 : 0,
  );
}

/** `n` pixels in each direction become one, and grow again: what tile ControlNets make details for. */
function tile(p: Picture, n: number): Picture {
  const small = resize(p, Math.max(1, Math.round(p.width / n)), Math.max(1, Math.round(p.height / n)), "box");
  return resize(small, p.width, p.height, "bicubic");
}

/** Sums of Sobel's 3×3 kernels at each pixel; beyond its edges the picture continues as it ends. */
function sobel(
  get: (i: number) => number,
  width: number,
  height: number,
): { readonly x: Int32Array; readonly y: Int32Array } {
  const x = new Int32Array(width * height);
  const y = new Int32Array(width * height);
  const clamp = (v: number, n: number) => Math.min(n - 1, Math.max(0, v));
  for (let r = 0; r < height; r++)
    for (let c = 0; c < width; c++) {
      const v = (dr: number, dc: number) => get(clamp(r + dr, height) * width + clamp(c + dc, width));
      const [a, b, d, e, f, g, h, i] = [v(-1, -1), v(-1, 0), v(-1, 1), v(0, -1), v(0, 1), v(1, -1), v(1, 0), v(1, 1)];
      x[r * width + c] = d + 2 * f + i - (a + 2 * e + g);
      y[r * width + c] = g + 2 * h + i - (a + 2 * b + d);
    }
  return { x, y };
}

/** Strength of the luminance's gradient: √((gx² + gy²) / 2) of Sobel's kernels over 4 (scikit-image's `sobel`), 0 … 255. */
function softEdge(p: Picture): Uint8Array {
  const l = grey(p);
  const { x, y } = sobel((i) => l[i]!, p.width, p.height);
  return Uint8Array.from(x, (gx, i) => Math.min(255, Math.round(Math.sqrt((gx * gx + y[i]! * y[i]!) / 2) / 4)));
}

/** tan(22.5°) with 15 fractional bits. */
const TAN = 13573;
const FRACTION = 15;

/** OpenCV's Canny(RGB, low, high): at each pixel the channel of the strongest gradient, L1 norm, 3×3. */
function canny({ width, height, rgba }: Picture, low: number, high: number): Uint8Array {
  const [least, most] = [Math.floor(Math.min(low, high)), Math.floor(Math.max(low, high))];
  const n = width * height;
  const dx = new Int32Array(n);
  const dy = new Int32Array(n);
  const norm = new Int32Array(n).fill(-1);
  for (let k = 0; k < 3; k++) {
    const { x, y } = sobel((i) => rgba[4 * i + k]!, width, height);
    for (let i = 0; i < n; i++) {
      const m = Math.abs(x[i]!) + Math.abs(y[i]!);
      if (m <= norm[i]!) continue;
      [norm[i], dx[i], dy[i]] = [m, x[i]!, y[i]!];
    }
  }
  const at = (r: number, c: number) => (r < 0 || r >= height || c < 0 || c >= width ? 0 : norm[r * width + c]!);
  const edge = new Uint8Array(n); // 1: may be one, 255: is one
  const open: number[] = [];
  for (let r = 0; r < height; r++)
    for (let c = 0; c < width; c++) {
      const i = r * width + c;
      const m = norm[i]!;
      if (m <= least) continue;
      const [x, y] = [Math.abs(dx[i]!), Math.abs(dy[i]!) * 2 ** FRACTION];
      const flat = x * TAN;
      let ridge: boolean;
      if (y < flat) ridge = m > at(r, c - 1) && m >= at(r, c + 1);
      else if (y > flat + x * 2 ** (FRACTION + 1)) ridge = m > at(r - 1, c) && m >= at(r + 1, c);
      else {
        const s = (dx[i]! ^ dy[i]!) < 0 ? -1 : 1;
        ridge = m > at(r - 1, c - s) && m > at(r + 1, c + s);
      }
      if (!ridge) continue;
      edge[i] = m > most ? 255 : 1;
      if (m > most) open.push(i);
    }
  // What hangs on a certain edge is one.
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    const [r, c] = [Math.floor(i / width), i % width];
    for (let y = Math.max(0, r - 1); y <= Math.min(height - 1, r + 1); y++)
      for (let x = Math.max(0, c - 1); x <= Math.min(width - 1, c + 1); x++)
        if (edge[y * width + x] === 1) {
          edge[y * width + x] = 255;
          open.push(y * width + x);
        }
  }
  return edge.map((v) => (v === 255 ? 255 : 0));
}
