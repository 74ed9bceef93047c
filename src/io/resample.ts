// Resizing pictures to the last bit as PIL does (Image.resize with antialiasing): a pass along each axis, each a weighted
// sum in fixed point with 22 fractional bits, rounded to 8 bits. Colours are weighted by opacity. The order of the passes
// shows in the last bit; it is that of Pillow 13 (before it, the horizontal one was always first).
// Source: Pillow's arithmetic (src/libImaging/Resample.c); test/reference/resample.py.

import { PictureError } from "./errors.js";
import type { Picture } from "./frames.js";

/** How to weigh neighbours; by the names PIL gives them. */
export type Filter = "box" | "bilinear" | "bicubic" | "lanczos" | "nearest";

/** A rectangle in pixels: from (left, top) up to, not including, (right, bottom). */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const PRECISION = 22;

const KERNELS: Readonly<Record<Exclude<Filter, "nearest">, { support: number; at: (x: number) => number }>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    at(signed) {
      const a = -0.5;
      const x = Math.abs(signed);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** Where a result's pixel reads, and its weights in fixed point. */
interface Weights {
  readonly size: number;
  /** First pixel read and number of them, per result. */
  readonly bounds: Int32Array;
  readonly weights: Int32Array;
}

/** Of the results `from` up to `to`. */
function weightsFor(
  filter: Exclude<Filter, "nearest">,
  inputs: number,
  outputs: number,
  from: number,
  to: number,
): Weights {
  const { support: unit, at } = KERNELS[filter];
  const scale = inputs / outputs;
  const stretch = Math.max(scale, 1); // a smaller result averages over more
  const support = unit * stretch;
  const size = Math.ceil(support) * 2 + 1;
  const bounds = new Int32Array((to - from) * 2);
  const weights = new Int32Array((to - from) * size);
  const row = new Float64Array(size);
  for (let i = 0; i < to - from; i++) {
    const center = (from + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const count = Math.min(inputs, Math.trunc(center + support + 0.5)) - first;
    let sum = 0;
    for (let k = 0; k < count; k++) sum += row[k] = at((k + first - center + 0.5) * (1 / stretch));
    for (let k = 0; k < count; k++) {
      const w = (sum === 0 ? row[k]! : row[k]! / sum) * 2 ** PRECISION;
      weights[i * size + k] = Math.trunc(w < 0 ? w - 0.5 : w + 0.5);
    }
    bounds[2 * i] = first;
    bounds[2 * i + 1] = count;
  }
  return { size, bounds, weights };
}

/** One pass along an axis: `lines` lines of `outputs` pixels; strides are in bytes. */
function pass(
  source: Uint8Array,
  { size, bounds, weights }: Weights,
  lines: number,
  from: { readonly pixel: number; readonly line: number },
  to: { readonly pixel: number; readonly line: number },
): Uint8Array<ArrayBuffer> {
  const outputs = bounds.length / 2;
  const result = new Uint8ClampedArray(outputs * lines * 4);
  for (let i = 0; i < outputs; i++) {
    const [first, count] = [bounds[2 * i]!, bounds[2 * i + 1]!];
    for (let line = 0; line < lines; line++) {
      // Sums stay below 2^53, and above 32 bits they are clipped as PIL clips them.
      let [r, g, b, a] = [2 ** (PRECISION - 1), 2 ** (PRECISION - 1), 2 ** (PRECISION - 1), 2 ** (PRECISION - 1)];
      let at = line * from.line + first * from.pixel;
      for (let k = 0; k < count; k++, at += from.pixel) {
        const w = weights[i * size + k]!;
        r += source[at]! * w;
        g += source[at + 1]! * w;
        b += source[at + 2]! * w;
        a += source[at + 3]! * w;
      }
      const p = line * to.line + i * to.pixel;
      result[p] = Math.floor(r / 2 ** PRECISION);
      result[p + 1] = Math.floor(g / 2 ** PRECISION);
      result[p + 2] = Math.floor(b / 2 ** PRECISION);
      result[p + 3] = Math.floor(a / 2 ** PRECISION);
    }
  }
  return new Uint8Array(result.buffer);
}

function horizontal(rgba: Uint8Array, weights: Weights, lines: number, inputs: number): Uint8Array<ArrayBuffer> {
  const outputs = weights.bounds.length / 2;
  return pass(rgba, weights, lines, { pixel: 4, line: 4 * inputs }, { pixel: 4, line: 4 * outputs });
}

function vertical(rgba: Uint8Array, weights: Weights, columns: number): Uint8Array<ArrayBuffer> {
  return pass(rgba, weights, columns, { pixel: 4 * columns, line: 4 }, { pixel: 4 * columns, line: 4 });
}

/** Along one axis: the inputs that are read, and how results are made of them; where there are as many, they are the results. */
interface Axis {
  readonly first: number;
  readonly count: number;
  readonly weights: Weights | undefined;
}

function axisOf(filter: Exclude<Filter, "nearest">, inputs: number, outputs: number, from: number, to: number): Axis {
  if (inputs === outputs) return { first: from, count: to - from, weights: undefined };
  const weights = weightsFor(filter, inputs, outputs, from, to);
  const { bounds } = weights;
  const first = bounds[0]!;
  const count = bounds.at(-2)! + bounds.at(-1)! - first;
  for (let i = 0; i < bounds.length; i += 2) bounds[i]! -= first;
  return { first, count, weights };
}

/** `picture` at `width × height`, every bit as PIL's `Image.resize((width, height), filter)`. */
export function resize(picture: Picture, width: number, height: number, filter: Filter): Picture {
  return resizePart(picture, width, height, filter, { left: 0, top: 0, right: width, bottom: height });
}

/**
 * What lies within `box` of `resize`'s result, without the rest being made: a strip of 1 × 20,000 pixels that should cover a
 * square becomes gigabytes otherwise.
 */
export function resizePart(picture: Picture, width: number, height: number, filter: Filter, box: Box): Picture {
  for (const n of [width, height])
    if (!Number.isInteger(n) || n < 1) throw new PictureError(`a picture cannot be resized to ${width}x${height}`);
  const { width: w, height: h } = picture;
  const [outW, outH] = [box.right - box.left, box.bottom - box.top];
  const whole = outW === width && outH === height;
  if (w === width && h === height) return whole ? picture : crop(picture, box);
  if (filter === "nearest") return whole ? nearest(picture, width, height) : crop(nearest(picture, width, height), box);
  const x = axisOf(filter, w, width, box.left, box.right);
  const y = axisOf(filter, h, height, box.top, box.bottom);
  const read = { left: x.first, top: y.first, right: x.first + x.count, bottom: y.first + y.count };
  const part = x.count === w && y.count === h ? picture : crop(picture, read);
  const opaque = isOpaque(part.rgba);
  let rgba = opaque ? part.rgba : premultiplied(part.rgba);
  const verticalFirst = h > height && h - height > 2 * (w - width);
  if (verticalFirst && y.weights) rgba = vertical(rgba, y.weights, x.count);
  if (x.weights) rgba = horizontal(rgba, x.weights, verticalFirst ? outH : y.count, x.count);
  if (!verticalFirst && y.weights) rgba = vertical(rgba, y.weights, outW);
  return { width: outW, height: outH, rgba: opaque ? rgba : divided(rgba) };
}

function nearest({ width: w, height: h, rgba }: Picture, width: number, height: number): Picture {
  const from = new Uint32Array(rgba.slice().buffer);
  const to = new Uint32Array(width * height);
  // PIL adds up its positions, and where they meet an edge the sum's last bit decides.
  const columns = positions(w, width);
  for (const [y, row] of positions(h, height).entries())
    for (const [x, column] of columns.entries()) to[y * width + x] = from[row * w + column]!;
  return { width, height, rgba: new Uint8Array(to.buffer) };
}

function positions(inputs: number, outputs: number): number[] {
  const scale = inputs / outputs;
  let at = scale * 0.5;
  return Array.from({ length: outputs }, () => {
    const position = Math.floor(at);
    at += scale;
    return Math.min(position, inputs - 1);
  });
}

/** The part of a picture within `box`; outside of the picture it is black and transparent, as in PIL. */
export function crop(picture: Picture, { left, top, right, bottom }: Box): Picture {
  const [width, height] = [right - left, bottom - top];
  if (!(width > 0 && height > 0)) throw new PictureError(`a picture cannot be cropped to ${width}x${height}`);
  const rgba = new Uint8Array(width * height * 4);
  const [x0, x1] = [Math.max(0, left), Math.min(picture.width, right)];
  for (let y = Math.max(0, top); y < Math.min(picture.height, bottom) && x0 < x1; y++) {
    const row = picture.rgba.subarray((y * picture.width + x0) * 4, (y * picture.width + x1) * 4);
    rgba.set(row, ((y - top) * width + x0 - left) * 4);
  }
  return { width, height, rgba };
}

/** Where no middle exists the even one of the two corners is taken, as PIL rounds the corners of a box. */
function middle(of: { readonly width: number; readonly height: number }, width: number, height: number): Box {
  const left = roundHalfEven((of.width - width) / 2);
  const top = roundHalfEven((of.height - height) / 2);
  return { left, top, right: left + width, bottom: top + height };
}

/** The picture scaled until it covers `width × height`, then cut to that around its middle (AnimateLCM's resize_and_crop). */
export function coverCrop(picture: Picture, width: number, height: number, filter: Filter = "lanczos"): Picture {
  const { width: w, height: h } = picture;
  const [x, y] =
    width / height > w / h
      ? [width, Math.max(height, roundHalfEven((width / w) * h))]
      : [Math.max(width, roundHalfEven((height / h) * w)), height];
  return resizePart(picture, x, y, filter, middle({ width: x, height: y }, width, height));
}

/** Python's `round`. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function isOpaque(rgba: Uint8Array): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

function premultiplied(rgba: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(rgba);
  for (let i = 0; i < result.length; i += 4)
    for (let k = 0; k < 3; k++) {
      const t = result[i + k]! * result[i + 3]! + 128;
      result[i + k] = ((t >> 8) + t) >> 8;
    }
  return result;
}

function divided(rgba: Uint8Array): Uint8Array {
  const result = new Uint8Array(rgba);
  for (let i = 0; i < result.length; i += 4) {
    const alpha = result[i + 3]!;
    if (alpha === 0 || alpha === 255) continue;
    for (let k = 0; k < 3; k++) result[i + k] = Math.min(255, Math.trunc((255 * result[i + k]!) / alpha));
  }
  return result;
}
