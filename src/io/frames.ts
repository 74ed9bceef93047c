// A clip in memory, as the pipelines hand it over and the picture formats take it.

/** Frames of one size, 8-bit RGBA, one after another: `count · height · width · 4` bytes. */
export interface Clip {
  readonly width: number;
  readonly height: number;
  readonly count: number;
  readonly rgba: Uint8Array;
}

/** One picture: a clip of one frame. */
export type Picture = Omit<Clip, "count">;

/** Frame `index` of a clip; shares its memory. */
export function frameOf(clip: Clip, index: number): Picture {
  const bytes = clip.width * clip.height * 4;
  return { width: clip.width, height: clip.height, rgba: clip.rgba.subarray(index * bytes, (index + 1) * bytes) };
}

/** @throws RangeError unless the clip has at least one frame, a size, and the bytes for it. */
export function checkClip({ width, height, count, rgba }: Clip): void {
  const sizes = [width, height, count];
  if (!sizes.every((n) => Number.isInteger(n) && n > 0) || rgba.length !== width * height * count * 4)
    throw new RangeError(
      `a clip of ${count} frames of ${width}x${height} takes ${width * height * count * 4} bytes, got ${rgba.length}`,
    );
}

/**
 * A positive number as a fraction of two 16-bit integers, the simplest that equals it, or the nearest by its continued
 * fraction: 8 → 8/1, 12.5 → 25/2, 29.97 → 2997/100.
 */
export function fraction(value: number): readonly [number, number] {
  const limit = 65535;
  if (!(value > 0) || value > limit || value < 1 / limit)
    throw new RangeError(`frames per second: ${value} is not between 1/65535 and 65535`);
  let [n0, d0, n1, d1] = [0, 1, 1, 0];
  let rest = value;
  for (;;) {
    const whole = Math.floor(rest);
    const [n, d] = [whole * n1 + n0, whole * d1 + d0];
    if (n > limit || d > limit) break;
    [n0, d0, n1, d1] = [n1, d1, n, d];
    if (Math.abs(n / d - value) <= 1e-12 * value) break;
    rest = 1 / (rest - whole);
  }
  return [n1, d1];
}

/** How long browsers show a frame that asks for this long: nothing is shown for 10 ms or less, but for 100 ms. */
export function shownFor(seconds: number): number {
  return seconds <= 0.01 ? 0.1 : seconds;
}
