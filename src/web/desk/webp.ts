// Animated WebP: the browser encodes the frames, this file puts them into one RIFF container with the recipe.
// Source: RFC 9649 (WebP), section 2.7: VP8X, ANIM, ANMF, XMP.

import type { Frames } from "../../index.js";
import { xmpPacket } from "../../io/webp.js";

const QUALITY = 0.95;

function canvasOf({ width, height, rgba }: Frames, index: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const bytes = width * height * 4;
  const data = new Uint8ClampedArray(rgba.buffer, rgba.byteOffset + index * bytes, bytes);
  canvas.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  return canvas;
}

/** Whether this browser encodes WebP: others answer with a PNG. */
export async function encodesWebp(): Promise<boolean> {
  const canvas = new OffscreenCanvas(1, 1);
  canvas.getContext("2d"); // without one there is nothing to encode
  const blob = await canvas.convertToBlob({ type: "image/webp" }).catch(() => undefined);
  return blob?.type === "image/webp";
}

export async function encodeWebp(
  frames: Frames,
  options: { readonly fps: number; readonly texts: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height, count } = frames;
  const { fps } = options;
  // VP8X: animation (0x02) and XMP (0x04); sizes less one, in 24 bits.
  const parts = [
    chunk("VP8X", [[0x06, 0, 0, 0], u24(width - 1), u24(height - 1)]),
    chunk("ANIM", [
      [0, 0, 0, 0],
      [0, 0],
    ]), // background, loops for ever
  ];
  for (let i = 0; i < count; i++) {
    options.signal.throwIfAborted();
    const blob = await canvasOf(frames, i).convertToBlob({ type: "image/webp", quality: QUALITY });
    // Rounding the end of each frame keeps the clip's length right for any rate.
    const duration = Math.round(((i + 1) * 1000) / fps) - Math.round((i * 1000) / fps);
    const head = [u24(0), u24(0), u24(width - 1), u24(height - 1), u24(duration), [0x02]];
    parts.push(chunk("ANMF", [...head, ...pictureChunks(new Uint8Array(await blob.arrayBuffer()))]));
  }
  parts.push(chunk("XMP ", [new TextEncoder().encode(xmpPacket(options.texts))]));
  return chunk("RIFF", [ascii("WEBP"), ...parts]);
}

/** The chunks with the pixels of a still WebP file: VP8, VP8L, ALPH. */
function pictureChunks(file: Uint8Array<ArrayBuffer>): Uint8Array[] {
  const view = new DataView(file.buffer);
  const found: Uint8Array[] = [];
  for (let at = 12; at + 8 <= file.length;) {
    const size = view.getUint32(at + 4, true);
    const end = at + 8 + size + (size & 1);
    const type = String.fromCharCode(...file.subarray(at, at + 4));
    if (type === "VP8 " || type === "VP8L" || type === "ALPH") found.push(file.subarray(at, end));
    at = end;
  }
  return found;
}

/** A RIFF chunk, padded to an even length. */
function chunk(type: string, parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((n, p) => n + p.length, 0);
  const bytes = new Uint8Array(8 + size + (size & 1));
  bytes.set(ascii(type));
  new DataView(bytes.buffer).setUint32(4, size, true);
  let at = 8;
  for (const p of parts) {
    bytes.set(p, at);
    at += p.length;
  }
  return bytes;
}

function ascii(text: string): number[] {
  return Array.from(text, (c) => c.charCodeAt(0));
}

function u24(n: number): number[] {
  return [n & 255, (n >> 8) & 255, (n >> 16) & 255];
}
