// Animated PNG: a PNG whose later frames follow as fcTL + fdAT chunks; viewers that know no animation show the first frame.
// Each frame after the first holds only the rectangle that changed. Source: W3C PNG (third edition), sections 4.9 and 11.3.6.

import { checkClip, fraction, frameOf, type Clip } from "./frames.js";
import {
  encodePng,
  headerChunk,
  imageData,
  joinBytes,
  pngChunk,
  PNG_SIGNATURE,
  textChunks,
  type Rectangle,
} from "./png.js";

/** How a clip is written. */
export interface AnimationOptions {
  /** Frames per second, kept as an exact fraction. */
  readonly fps: number;
  /** Texts by keyword. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A clip as an animated PNG that loops forever; one frame gives an ordinary PNG. */
export async function encodeApng(clip: Clip, options: AnimationOptions): Promise<Uint8Array<ArrayBuffer>> {
  checkClip(clip);
  const { width, height, count } = clip;
  const [fps, per] = fraction(options.fps);
  if (count === 1) return encodePng(frameOf(clip, 0), options.texts);
  const animation = new Uint8Array(8);
  new DataView(animation.buffer).setUint32(0, count);
  const parts = [
    PNG_SIGNATURE,
    headerChunk(width, height),
    pngChunk("acTL", animation),
    ...textChunks(options.texts ?? {}),
  ];
  let sequence = 0;
  for (let i = 0; i < count; i++) {
    options.signal?.throwIfAborted();
    const at = i === 0 ? { x: 0, y: 0, width, height } : changedRectangle(clip, i);
    const data = await imageData(frameOf(clip, i), at);
    parts.push(frameControl(sequence++, at, per, fps));
    if (i === 0) parts.push(pngChunk("IDAT", data));
    else {
      const numbered = new Uint8Array(4 + data.length);
      new DataView(numbered.buffer).setUint32(0, sequence++);
      numbered.set(data, 4);
      parts.push(pngChunk("fdAT", numbered));
    }
  }
  parts.push(pngChunk("IEND", new Uint8Array()));
  return joinBytes(parts);
}

/** fcTL: place, duration `numerator / denominator` seconds, left in place afterwards, replacing what was there. */
function frameControl(sequence: number, at: Rectangle, numerator: number, denominator: number): Uint8Array {
  const data = new Uint8Array(26);
  const view = new DataView(data.buffer);
  [sequence, at.width, at.height, at.x, at.y].forEach((v, i) => view.setUint32(i * 4, v));
  view.setUint16(20, numerator);
  view.setUint16(22, denominator);
  return pngChunk("fcTL", data);
}

/** The smallest rectangle that holds all pixels of frame `index` that differ from the one before; one pixel if none does. */
function changedRectangle(clip: Clip, index: number): Rectangle {
  const { width, height } = clip;
  const now = frameOf(clip, index).rgba;
  const before = frameOf(clip, index - 1).rgba;
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at += 4)
      if (now[at] !== before[at] || now[at + 1] !== before[at + 1] || now[at + 2] !== before[at + 2]) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        bottom = y;
      }
  return right < 0
    ? { x: 0, y: 0, width: 1, height: 1 }
    : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}
