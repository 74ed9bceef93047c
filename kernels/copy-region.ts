// Rectangles of pictures, cut out and put in.

import { specialize } from "../src/gpu/wgsl.js";
import { dims4 } from "../src/tensor/shape.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { window } from "./vectors.js";

/** `[top, left]` of a rectangle. */
export type Corner = readonly [number, number];

/**
 * Copies the rectangle `size` `[height, width]` at `from` in every frame of `x [f, h, w, c]` to `to` in the same frame of
 * `y [f, h', w', c]`.
 * @throws Error where frames, channels or dtypes differ, or the rectangle leaves either
 */
export function copyRegion(
  x: Tensor,
  from: Corner,
  y: Tensor,
  to: Corner,
  size: readonly [number, number],
  label = "copyRegion",
): void {
  const [frames, xh, xw, channels] = dims4(x, "copyRegion: x");
  const [framesY, yh, yw, channelsY] = dims4(y, "copyRegion: y");
  const [h, w] = size;
  if (frames !== framesY || channels !== channelsY || x.dtype !== y.dtype)
    throw new Error(`copyRegion: ${String(x)} and ${String(y)} need the same frames, channels and dtype`);
  if (from[0] + h > xh || from[1] + w > xw || to[0] + h > yh || to[1] + w > yw)
    throw new Error(
      `copyRegion: ${h} × ${w} pixels at [${from.join(", ")}] of ${String(x)}, or at [${to.join(", ")}] of ${String(y)}, leave it`,
    );
  const { device } = x;
  const code = specialize(shaders["copy-region"], { T: x.dtype });
  // Rows of the rectangle lie within this many elements.
  const span = (width: number) => (h - 1) * width * channels + w * channels;
  for (let f = 0; f < frames; f++) {
    const source = window(x, ((f * xh + from[0]) * xw + from[1]) * channels, span(xw), 1);
    const target = window(y, ((f * yh + to[0]) * yw + to[1]) * channels, span(yw), 1);
    device.dispatch({
      label,
      code,
      bindings: [source.binding, target.binding],
      params: [h, w * channels, source.skip, xw * channels, target.skip, yw * channels],
      workgroups: grid(Math.ceil((h * w * channels) / 64), device.capabilities),
      flops: 0,
      bytes: 2 * h * w * channels * bytesPerElement(x.dtype),
    });
  }
}
