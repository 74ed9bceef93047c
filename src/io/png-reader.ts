// PNG read: pictures of any kind by fast-png, animations composed here, a frame at a time, as 8-bit RGBA.
// Source: W3C PNG (third edition), https://www.w3.org/TR/png-3/, sections 4.9 and 11.3.6.

import { decode } from "fast-png";
import { messageOf, PictureError } from "./errors.js";
import { shownFor, type Clip, type Picture } from "./frames.js";
import { exifOrientation, turnsAside, upright } from "./orientation.js";
import { joinBytes, PNG_SIGNATURE, pngChunk, pngChunks, type Rectangle } from "./png.js";

/** Pixels of a clip that `decodePng` reads, all frames together: 16,384 × 16,384. */
const MAX_PIXELS = 2 ** 28;

/** A PNG file whose header was read. */
export interface PngFile {
  readonly width: number;
  readonly height: number;
  readonly count: number;
  /** Seconds each frame shows; none where it is a single picture. */
  readonly seconds: readonly number[];
  /** The frames in turn, decoded as they are asked for; each has memory of its own. @throws PictureError where it is damaged */
  pictures(): Generator<Picture, void, undefined>;
}

/** Reads the chunks of a PNG file, not its pixels; its frames are turned as its EXIF says. @throws PictureError when it is none, is cut off, or a checksum is wrong */
export function readPng(bytes: Uint8Array): PngFile {
  const chunks = pngChunks(bytes);
  const header = chunks[0];
  if (header?.type !== "IHDR" || header.data.length !== 13) throw new PictureError("this PNG file has no header");
  const [width, height] = [u32(header.data, 0), u32(header.data, 4)];
  const frames = animationFrames(chunks);
  const shared = chunks.filter((c) => c.type === "PLTE" || c.type === "tRNS").map((c) => pngChunk(c.type, c.data));
  const exif = chunks.find((c) => c.type === "eXIf");
  const orientation = exif ? exifOrientation(exif.data) : 1;
  const aside = turnsAside(orientation);
  return {
    width: aside ? height : width,
    height: aside ? width : height,
    count: Math.max(1, frames.length),
    seconds: frames.map((f) => seconds(f.control)),
    *pictures() {
      if (frames.length === 0) {
        yield upright(decodeOne(bytes), orientation);
        return;
      }
      const canvas = new Uint8Array(width * height * 4);
      for (const [i, { control, data }] of frames.entries()) {
        const at = { width: u32(control, 4), height: u32(control, 8), x: u32(control, 12), y: u32(control, 16) };
        if (at.width === 0 || at.height === 0 || at.x + at.width > width || at.y + at.height > height)
          throw new PictureError(`this PNG file is damaged: frame ${i} lies outside the picture`);
        const own = header.data.slice();
        own.set(control.subarray(4, 12));
        const parts = [
          pngChunk("IHDR", own),
          ...shared,
          pngChunk("IDAT", joinBytes(data)),
          pngChunk("IEND", new Uint8Array()),
        ];
        const before = control[24] === 2 ? canvas.slice() : undefined;
        paint(canvas, width, decodeOne(joinBytes([PNG_SIGNATURE, ...parts])), at, control[25] === 1);
        yield upright({ width, height, rgba: canvas.slice() }, orientation);
        if (before) canvas.set(before);
        else if (control[24] === 1)
          for (let y = at.y; y < at.y + at.height; y++)
            canvas.fill(0, (y * width + at.x) * 4, (y * width + at.x + at.width) * 4);
      }
    },
  };
}

/**
 * The frames of a PNG file of any kind (palette, grey, 16 bits, animated), as 8-bit RGBA.
 * @throws PictureError when it is damaged, or larger than 2^28 pixels in all
 */
export function decodePng(bytes: Uint8Array): Clip {
  const png = readPng(bytes);
  const { width, height, count } = png;
  if (width * height * count > MAX_PIXELS)
    throw new PictureError(
      `this PNG file has ${count > 1 ? `${count} frames of ` : ""}${width}x${height} pixels, which is more than is read here`,
    );
  const rgba = new Uint8Array(width * height * count * 4);
  let at = 0;
  for (const picture of png.pictures()) {
    rgba.set(picture.rgba, at);
    at += picture.rgba.length;
  }
  return { width, height, count, rgba };
}

function u32(data: Uint8Array, at: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(at);
}

function u16(data: Uint8Array, at: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint16(at);
}

/** How long a frame shows, in seconds. */
function seconds(control: Uint8Array): number {
  const [numerator, denominator] = [u16(control, 20), u16(control, 22)];
  return shownFor(numerator / (denominator === 0 ? 100 : denominator));
}

/** Control and data of each frame of an animation; none where the file is a single picture. */
function animationFrames(
  chunks: readonly { readonly type: string; readonly data: Uint8Array }[],
): readonly { readonly control: Uint8Array; readonly data: readonly Uint8Array[] }[] {
  if (!chunks.some((c) => c.type === "acTL")) return [];
  const frames: { control: Uint8Array; data: Uint8Array[] }[] = [];
  for (const { type, data } of chunks) {
    if (type === "fcTL") {
      if (data.length !== 26) throw new PictureError("this PNG file is damaged: a frame has no place");
      frames.push({ control: data, data: [] });
    } else if (type === "IDAT") frames.at(-1)?.data.push(data);
    else if (type === "fdAT") frames.at(-1)?.data.push(data.subarray(4));
  }
  return frames;
}

/** Puts a frame on the canvas: in place of what was there, or over it. */
function paint(canvas: Uint8Array, width: number, frame: Picture, at: Rectangle, over: boolean): void {
  for (let y = 0, from = 0; y < at.height; y++)
    for (let x = 0; x < at.width; x++, from += 4) {
      const to = ((at.y + y) * width + at.x + x) * 4;
      const [alpha, below] = [frame.rgba[from + 3]! / 255, canvas[to + 3]! / 255];
      const sum = alpha + below * (1 - alpha);
      if (!over || alpha === 1 || below === 0) canvas.set(frame.rgba.subarray(from, from + 4), to);
      else {
        for (let c = 0; c < 3; c++)
          canvas[to + c] = Math.round((frame.rgba[from + c]! * alpha + canvas[to + c]! * below * (1 - alpha)) / sum);
        canvas[to + 3] = Math.round(sum * 255);
      }
    }
}

/** A still picture, by fast-png. */
function decodeOne(bytes: Uint8Array): Picture {
  try {
    const { data, channels, depth, width, height, palette, transparency } = decode(bytes);
    const rgba = new Uint8Array(width * height * 4);
    toRgba(
      { data, channels, depth, width, height, ...(palette && { palette }), ...(transparency && { transparency }) },
      rgba,
    );
    return { width, height, rgba };
  } catch (error) {
    throw new PictureError(`this PNG file cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

interface Decoded {
  readonly data: ArrayLike<number>;
  readonly channels: number;
  readonly depth: number;
  readonly width: number;
  readonly height: number;
  readonly palette?: readonly (readonly number[])[];
  readonly transparency?: ArrayLike<number>;
}

/** Samples of any layout to 8-bit RGBA; 16-bit samples are rounded, smaller ones stretched. */
function toRgba({ data, channels, depth, width, height, palette, transparency }: Decoded, out: Uint8Array): void {
  if (depth === 8 && channels >= 3 && !palette && !transparency) {
    for (let from = 0, at = 0; at < out.length; from += channels, at += 4) {
      for (let c = 0; c < 3; c++) out[at + c] = data[from + c]!;
      out[at + 3] = channels === 4 ? data[from + 3]! : 255;
    }
    return;
  }
  // Below 8 bits several samples share a byte, and every row begins on a new one.
  const perRow = depth < 8 ? Math.ceil((width * channels * depth) / 8) : width * channels;
  const sample = (y: number, i: number): number => {
    if (depth >= 8) return data[y * perRow + i]!;
    const bit = i * depth;
    return (data[y * perRow + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
  };
  const max = 2 ** depth - 1;
  const byte = (v: number) => (depth === 8 ? v : Math.round((v * 255) / max));
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 4) {
      const v = [0, 1, 2, 3].map((c) => (c < channels ? sample(y, x * channels + c) : 0));
      if (palette) {
        const color = palette[v[0]!];
        if (!color) throw new PictureError("a colour outside its palette");
        out.set([color[0]!, color[1]!, color[2]!, color[3] ?? 255], at);
      } else {
        const grey = channels < 3;
        const alpha = channels === 2 ? byte(v[1]!) : channels === 4 ? byte(v[3]!) : 255;
        const clear =
          transparency &&
          transparency.length >= (grey ? 1 : 3) &&
          v.slice(0, grey ? 1 : 3).every((s, c) => s === transparency[c]);
        out.set([byte(v[0]!), byte(v[grey ? 0 : 1]!), byte(v[grey ? 0 : 2]!), clear ? 0 : alpha], at);
      }
    }
}
