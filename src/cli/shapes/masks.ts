// Sets of pixels, as scipy.ndimage handles them with its default neighbourhood (left, right, above, below).

/** 1 where a pixel belongs to the set; row by row. */
export type Mask = Uint8Array;

/** Pixels of the set that `start` is connected to through pixels of the same value; marks them in `seen`. */
function flood(mask: Mask, size: number, start: number, seen: Uint8Array): number[] {
  const found = [start];
  seen[start] = 1;
  for (let i = 0; i < found.length; i++) {
    const p = found[i]!;
    const x = p % size;
    for (const [q, there] of [
      [p - 1, x > 0],
      [p + 1, x < size - 1],
      [p - size, p >= size],
      [p + size, p + size < mask.length],
    ] as const)
      if (there && !seen[q] && mask[q] === mask[start]) {
        seen[q] = 1;
        found.push(q);
      }
  }
  return found;
}

/** The largest connected part, with its holes filled. */
export function largestPart(mask: Mask, size: number): Mask {
  const seen = new Uint8Array(mask.length);
  let largest: readonly number[] = [];
  for (let p = 0; p < mask.length; p++)
    if (mask[p] && !seen[p]) {
      const part = flood(mask, size, p, seen);
      if (part.length > largest.length) largest = part;
    }
  const filled = new Uint8Array(mask.length);
  for (const p of largest) filled[p] = 1;
  // What is not connected to the border is inside.
  const outside = new Uint8Array(mask.length);
  for (let p = 0; p < mask.length; p++) {
    const border = p < size || p >= mask.length - size || p % size === 0 || p % size === size - 1;
    if (border && !filled[p] && !outside[p]) flood(filled, size, p, outside);
  }
  return filled.map((_, p) => (outside[p] ? 0 : 1));
}

/** The pixels of which all within `times` steps belong to the set; beyond the picture nothing does. */
export function eroded(mask: Mask, times: number): Mask {
  const size = Math.sqrt(mask.length);
  let now = mask;
  for (let k = 0; k < times; k++) {
    const before = now;
    now = before.map((v, p) => {
      const x = p % size;
      if (!v || x === 0 || x === size - 1 || p < size || p >= mask.length - size) return 0;
      return before[p - 1]! & before[p + 1]! & before[p - size]! & before[p + size]!;
    });
  }
  return now;
}

/** Number of pixels and the mean place of their middles; NaN where there are none. */
export function centroid(mask: Mask): { readonly area: number; readonly x: number; readonly y: number } {
  const size = Math.sqrt(mask.length);
  let [area, x, y] = [0, 0, 0];
  for (let p = 0; p < mask.length; p++)
    if (mask[p]) {
      area++;
      x += (p % size) + 0.5;
      y += Math.floor(p / size) + 0.5;
    }
  return { area, x: x / area, y: y / area };
}
