// A small clip for the tests of picture formats: a gradient with a square that moves over it.

import type { Clip } from "../../src/io/frames.js";

export function movingSquare(width = 24, height = 16, count = 4): Clip {
  const rgba = new Uint8Array(width * height * count * 4);
  for (let f = 0; f < count; f++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const inside = Math.abs(x - 4 - 3 * f) < 3 && Math.abs(y - 8) < 3;
        rgba.set(inside ? [250, 20 + f, 30, 255] : [x * 8, y * 12, 90, 255], ((f * height + y) * width + x) * 4);
      }
  return { width, height, count, rgba };
}
