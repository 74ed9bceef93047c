// How a camera was held: EXIF's orientation, read from a TIFF block (a PNG's eXIf chunk), and pictures turned upright by it.
// Source: EXIF 2.32, tag 0x0112.

import type { Picture } from "./frames.js";

const TAG = 0x0112;
const SHORT = 3;

/** 1 (upright) to 8; 1 where the block tells none, or is damaged. */
export function exifOrientation(tiff: Uint8Array): number {
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  if (tiff.length < 8) return 1;
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  const directory = view.getUint32(4, little);
  if (view.getUint16(2, little) !== 42 || directory + 2 > tiff.length) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > tiff.length) return 1;
    if (view.getUint16(at, little) !== TAG || view.getUint16(at + 2, little) !== SHORT) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** Whether width and height change places. */
export function turnsAside(orientation: number): boolean {
  return orientation >= 5;
}

/** The picture upright, as PIL's exif_transpose; itself where it is. */
export function upright(picture: Picture, orientation: number): Picture {
  if (orientation === 1) return picture;
  const { width: w, height: h } = picture;
  const [width, height] = turnsAside(orientation) ? [h, w] : [w, h];
  const from = new Uint32Array(picture.rgba.slice().buffer);
  const to = new Uint32Array(width * height);
  const mirrored = [2, 3, 7, 8].includes(orientation); // along the source's rows
  const upsideDown = [3, 4, 6, 7].includes(orientation);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [column, row] = turnsAside(orientation) ? [y, x] : [x, y];
      to[y * width + x] = from[(upsideDown ? h - 1 - row : row) * w + (mirrored ? w - 1 - column : column)]!;
    }
  return { width, height, rgba: new Uint8Array(to.buffer) };
}
