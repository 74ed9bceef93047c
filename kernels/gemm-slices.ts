// Sizes of a convolution, and its division into dispatches whose ranges fit the adapter's bindings.

import type { Capabilities } from "../src/gpu/limits.js";

/** Sizes of one convolution; a linear layer is `rows` frames of one pixel. */
export interface Geometry {
  readonly frames: number;
  /** x in memory. */
  readonly source: readonly [number, number];
  /** x as the kernel sees it, after upsampling. */
  readonly input: readonly [number, number];
  readonly output: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: number;
  readonly top: number;
  readonly left: number;
}

/** Output frames and rows of one dispatch, and the rows of x that they read. */
export interface Slice {
  readonly frame: number;
  readonly frames: number;
  readonly row: number;
  readonly rows: number;
  readonly sourceRow: number;
  readonly sourceRows: number;
}

/**
 * Slices whose ranges fit the adapter's bindings: whole frames if one fits, else rows of single frames, each with the
 * neighbouring rows of x that its kernel reaches. `inBytes`, `outBytes`: of one pixel.
 */
export function* slices(
  g: Geometry,
  inBytes: number,
  outBytes: number,
  { maxBinding, alignment }: Pick<Capabilities, "maxBinding" | "alignment">,
  label: string,
): Generator<Slice> {
  const [outH, outW] = g.output;
  const [srcH, srcW] = g.source;
  const room = maxBinding - alignment;
  const whole = g.frames * Math.max(srcH * srcW * inBytes, outH * outW * outBytes) <= maxBinding;
  const perFrame = Math.max(srcH * srcW * inBytes, outH * outW * outBytes);
  const fit = whole
    ? g.frames
    : perFrame <= maxBinding && perFrame % alignment === 0
      ? Math.floor(maxBinding / perFrame)
      : Math.floor(room / perFrame);
  for (let frame = 0; fit > 0 && frame < g.frames; frame += fit)
    yield { frame, frames: Math.min(fit, g.frames - frame), row: 0, rows: outH, sourceRow: 0, sourceRows: srcH };
  if (fit > 0) return;
  const reach = (row: number, rows: number) => {
    const clamp = (i: number) => Math.floor((Math.min(Math.max(i, 0), g.input[0] - 1) * srcH) / g.input[0]);
    const from = clamp(row * g.stride - g.top);
    return [from, clamp((row + rows - 1) * g.stride - g.top + g.kernel[0] - 1) - from + 1] as const;
  };
  for (let frame = 0; frame < g.frames; frame++)
    for (let row = 0; row < outH;) {
      let rows = outH - row;
      while (rows > 0 && (rows * outW * outBytes > room || reach(row, rows)[1] * srcW * inBytes > room)) rows--;
      if (rows === 0)
        throw new Error(`${label}: one row of pixels exceeds the adapter's largest binding of ${maxBinding} bytes`);
      const [sourceRow, sourceRows] = reach(row, rows);
      yield { frame, frames: 1, row, rows, sourceRow, sourceRows };
      row += rows;
    }
}
