// PNG: chunks with their checksums, pictures written as RGB with a filter per row, and texts. Reading is in png-reader.ts.
// Source: W3C PNG (third edition), https://www.w3.org/TR/png-3/.

import { messageOf, PictureError } from "./errors.js";
import type { Picture } from "./frames.js";

export const PNG_SIGNATURE: Uint8Array = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
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
