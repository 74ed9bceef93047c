// Overlapping windows of frames put together: each frame of the result is a weighted sum over the windows it lies in. The
// sum is f32 whatever the windows' type, since it takes as many additions as windows meet.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { shapeText } from "../src/tensor/shape.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { unitType, unpacking, widthOf, window } from "./vectors.js";

/** Frames a dispatch has room for weights of. */
const MOST = 48;

/** Consecutive frames of a window and where they lie in the clip. */
export interface FrameRun {
  /** First frame in x, and in y. */
  readonly from: number;
  readonly to: number;
  /** One factor a frame. */
  readonly weights: readonly number[];
  /** Whether y holds a sum already; else it is overwritten. */
  readonly add: boolean;
}

/**
 * y[to + i] (+)= weights[i] · x[from + i], in place, for `x [window, …]` (f32 or f16) and `y [frames, …]` f32.
 * @throws Error where the frames' shapes differ or a run leaves a tensor
 */
export function fuseFrames(x: Tensor, y: Tensor, { from, to, weights, add }: FrameRun, label = "fuseFrames"): void {
  const size = x.size / (x.shape[0] ?? 1);
  const count = weights.length;
  if (y.dtype !== "f32" || y.shape.slice(1).join() !== x.shape.slice(1).join())
    throw new Error(
      `${label}: ${String(x)} does not go into ${String(y)}: expected f32 frames of ${shapeText(x.shape.slice(1))}`,
    );
  if (from < 0 || to < 0 || from + count > (x.shape[0] ?? 0) || to + count > (y.shape[0] ?? 0))
    throw new Error(`${label}: ${count} frames from ${from} of ${String(x)} to ${to} of ${String(y)} are out of range`);
  const limits = x.device.capabilities;
  // A first frame may lie up to an alignment behind the start of its binding.
  const most = Math.min(MOST, Math.max(1, Math.floor((limits.maxBinding - limits.alignment) / (4 * size))));
  const width = widthOf(size);
  const code = specialize(shaders["fuse-frames"], {
    V: unitType(x.dtype, width, limits),
    F: width === 4 ? "vec4f" : "f32",
    ADD: add,
    ...unpacking(x.dtype, width, limits),
  });
  for (let first = 0; first < count; first += most) {
    const n = Math.min(most, count - first);
    const source = window(x, (from + first) * size, n * size, width);
    const target = window(y, (to + first) * size, n * size, width);
    const total = (n * size) / width;
    x.device.dispatch({
      label,
      code,
      bindings: [source.binding, target.binding],
      params: [
        size / width,
        total,
        source.skip,
        target.skip,
        ...Array.from({ length: MOST }, (_, i) => f32Bits(i < n ? weights[first + i]! : 0)),
      ],
      workgroups: grid(Math.ceil(total / 64), limits),
      flops: 2 * n * size,
      bytes: n * size * (bytesPerElement(x.dtype) + (add ? 8 : 4)),
    });
  }
}
