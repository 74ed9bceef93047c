// PNG: chunks with their checksums, pictures written as RGB with a filter per row, pictures read by fast-png, and texts.
// Source: W3C PNG (third edition), https://www.w3.org/TR/png-3/.

import { decode } from "fast-png";
import { messageOf, PictureError } from "./errors.js";
import type { Clip, Picture } from "./frames.js";

export const PNG_SIGNATURE: Uint8Array = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Pixels of a picture (all frames together) that are read: 16,384 × 16,384. */
const MAX_PIXELS = 2 ** 28;

let crcTable: Uint32Array | undefined;

/** CRC-32 as PNG and zip use it. */
export function crc32(bytes: Uint8Array, before = 0): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let c = ~before;
  for (const b of bytes) c = crcTable[(c ^ b) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

/** One chunk: length, type, data, checksum. */
export function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) chunk[4 + i] = type.charCodeAt(i);
  chunk.set(data, 8);
  view.setUint32(8 + data.length, crc32(chunk.subarray(4, 8 + data.length)));
  return chunk;
}

/** The chunks of a PNG file. @throws PictureError when it is none, is cut off, or a checksum is wrong. */
export function pngChunks(bytes: Uint8Array): readonly { readonly type: string; readonly data: Uint8Array }[] {
  if (!isPng(bytes)) throw new PictureError("this is no PNG file");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: { type: string; data: Uint8Array }[] = [];
  for (let at = 8; ;) {
    if (at + 12 > bytes.length) throw new PictureError("this PNG file is cut off");
    const length = view.getUint32(at);
    if (length > bytes.length - at - 12) throw new PictureError("this PNG file is cut off");
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (view.getUint32(at + 8 + length) !== crc32(bytes.subarray(at + 4, at + 8 + length)))
      throw new PictureError(`this PNG file is damaged: the checksum of its chunk ${type} is wrong`);
    chunks.push({ type, data: bytes.subarray(at + 8, at + 8 + length) });
    if (type === "IEND") return chunks;
    at += 12 + length;
  }
}

export function isPng(bytes: Uint8Array): boolean {
  return PNG_SIGNATURE.every((b, i) => bytes[i] === b);
}

/** IHDR of an 8-bit RGB picture. */
export function headerChunk(width: number, height: number): Uint8Array {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([8, 2, 0, 0, 0], 8);
  return pngChunk("IHDR", data);
}

/** Texts by keyword as chunks: tEXt where Latin-1 holds them, else iTXt (UTF-8). */
export function textChunks(texts: Readonly<Record<string, string>>): Uint8Array[] {
  return Object.entries(texts).map(([keyword, text]) => {
    if (!/^[\x20-\x7e]{1,79}$/.test(keyword))
      throw new RangeError(`PNG: ${JSON.stringify(keyword)} is no keyword (1 to 79 ASCII characters)`);
    // oxlint-disable-next-line no-control-regex
    if (/^[\n\x20-\x7e\xa1-\xff]*$/.test(text))
      return pngChunk(
        "tEXt",
        Uint8Array.from(`${keyword}\0${text}`, (c) => c.charCodeAt(0)),
      );
    // keyword, 0, not compressed, method 0, no language, no translated keyword, text
    return pngChunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`));
  });
}

/** All texts of a PNG file, tEXt and uncompressed or compressed iTXt and zTXt, by keyword. */
export async function pngTexts(bytes: Uint8Array): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const latin = new TextDecoder("latin1");
  const utf8 = new TextDecoder();
  for (const { type, data } of pngChunks(bytes)) {
    if (type !== "tEXt" && type !== "zTXt" && type !== "iTXt") continue;
    const end = data.indexOf(0);
    if (end < 1) continue;
    const keyword = latin.decode(data.subarray(0, end));
    if (type === "tEXt") texts.set(keyword, latin.decode(data.subarray(end + 1)));
    else if (type === "zTXt") texts.set(keyword, latin.decode(await inflate(data.subarray(end + 2))));
    else {
      const language = data.indexOf(0, end + 3);
      const translated = data.indexOf(0, language + 1);
      if (language < 0 || translated < 0) continue;
      const text = data.subarray(translated + 1);
      texts.set(keyword, utf8.decode(data[end + 1] === 1 ? await inflate(text) : text));
    }
  }
  return texts;
}

/** Bytes of compressed text that are unpacked. */
const MAX_TEXT = 16 * 2 ** 20;

async function inflate(data: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of through(data, new DecompressionStream("deflate"))) {
      parts.push(part);
      if ((size += part.length) > MAX_TEXT) throw new PictureError("more than 16 MiB of it");
    }
  } catch (error) {
    throw new PictureError(`this PNG file has a text that cannot be unpacked: ${messageOf(error)}`, { cause: error });
  }
  return joinBytes(parts);
}

async function* through(data: Uint8Array, stream: CompressionStream | DecompressionStream): AsyncGenerator<Uint8Array> {
  const writer = stream.writable.getWriter();
  // A failure also ends the readable side, where it is reported.
  const written = Promise.all([writer.write(new Uint8Array(data)), writer.close()]).catch(() => undefined);
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    yield value;
  }
  await written;
}

/** Bytes one after another. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Part of a picture. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The data of IDAT or fdAT for a rectangle of a picture: RGB rows, each with the filter that leaves the smallest residue, deflated. */
export async function imageData(picture: Picture, at: Rectangle): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of through(filterRows(picture, at), new CompressionStream("deflate"))) parts.push(part);
  return joinBytes(parts);
}

/**
 * Filtered scanlines. Per row the filter with the least sum of absolute residues (taken as signed bytes), the heuristic of
 * the PNG specification, section 12.7.
 */
function filterRows({ width, rgba }: Picture, at: Rectangle): Uint8Array {
  const row = at.width * 3;
  const out = new Uint8Array((row + 1) * at.height);
  let above = new Uint8Array(row);
  let line = new Uint8Array(row);
  const residue = () => new Uint8Array(row);
  const [none, sub, up, average, paeth] = [residue(), residue(), residue(), residue(), residue()];
  const tried = [none, sub, up, average, paeth];
  for (let y = 0; y < at.height; y++) {
    let from = ((at.y + y) * width + at.x) * 4;
    for (let i = 0; i < row; i += 3, from += 4) {
      line[i] = rgba[from]!;
      line[i + 1] = rgba[from + 1]!;
      line[i + 2] = rgba[from + 2]!;
    }
    const cost = [0, 0, 0, 0, 0];
    for (let i = 0; i < row; i++) {
      const x = line[i]!;
      const a = i < 3 ? 0 : line[i - 3]!;
      const b = above[i]!;
      const c = i < 3 ? 0 : above[i - 3]!;
      const pa = Math.abs(b - c);
      const pb = Math.abs(a - c);
      const pc = Math.abs(a + b - 2 * c);
      none[i] = x;
      sub[i] = x - a;
      up[i] = x - b;
      average[i] = x - ((a + b) >> 1);
      paeth[i] = x - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
      for (let f = 0; f < 5; f++) {
        const r = tried[f]![i]!;
        cost[f]! += r < 128 ? r : 256 - r;
      }
    }
    const best = cost.indexOf(Math.min(...cost));
    out[y * (row + 1)] = best;
    out.set(tried[best]!, y * (row + 1) + 1);
    [above, line] = [line, above];
  }
  return out;
}

/** A picture as a PNG file, RGB without transparency, with texts by keyword. */
export async function encodePng(
  picture: Picture,
  texts: Readonly<Record<string, string>> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = picture;
  return joinBytes([
    PNG_SIGNATURE,
    headerChunk(width, height),
    ...textChunks(texts),
    pngChunk("IDAT", await imageData(picture, { x: 0, y: 0, width, height })),
    pngChunk("IEND", new Uint8Array()),
  ]);
}

/**
 * The frames of a PNG file of any kind (palette, grey, 16 bits, animated), as 8-bit RGBA.
 * @throws PictureError when it is damaged, or larger than 2^28 pixels in all
 */
export function decodePng(bytes: Uint8Array): Clip {
  const chunks = pngChunks(bytes);
  const header = chunks[0];
  if (header?.type !== "IHDR" || header.data.length !== 13) throw new PictureError("this PNG file has no header");
  const [width, height] = [u32(header.data, 0), u32(header.data, 4)];
  const frames = animationFrames(chunks);
  const count = Math.max(1, frames.length);
  if (width * height * count > MAX_PIXELS)
    throw new PictureError(
      `this PNG file has ${count > 1 ? `${count} frames of ` : ""}${width}x${height} pixels, which is more than is read here`,
    );
  if (frames.length === 0) return { ...decodeOne(bytes), count: 1 };
  const canvas = new Uint8Array(width * height * 4);
  const rgba = new Uint8Array(count * canvas.length);
  const shared = chunks.filter((c) => c.type === "PLTE" || c.type === "tRNS").map((c) => pngChunk(c.type, c.data));
  frames.forEach(({ control, data }, i) => {
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
    const before = canvas.slice();
    paint(canvas, width, decodeOne(joinBytes([PNG_SIGNATURE, ...parts])), at, control[25] === 1);
    rgba.set(canvas, i * canvas.length);
    if (control[24] === 2) canvas.set(before);
    else if (control[24] === 1)
      for (let y = at.y; y < at.y + at.height; y++)
        canvas.fill(0, (y * width + at.x) * 4, (y * width + at.x + at.width) * 4);
  });
  return { width, height, count, rgba };
}

function u32(data: Uint8Array, at: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(at);
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
