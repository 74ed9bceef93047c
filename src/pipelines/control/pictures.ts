// Pictures as control networks take them: numbers from 0 to 1, channels last.

import { cast } from "../../../kernels/elementwise.js";
import type { Device } from "../../gpu/device.js";
import type { Clip } from "../../io/frames.js";
import { Tensor } from "../../tensor/tensor.js";

/** Frames `first … first + n` as `[n, h, w, 3]` of `dtype`, byte / 255; opacity is ignored. */
export function toUnit(
  device: Device,
  clip: Clip,
  first: number,
  n: number,
  { dtype, bgr = false }: { readonly dtype: "f32" | "f16"; readonly bgr?: boolean },
): Tensor {
  const { width, height, rgba } = clip;
  const pixels = n * height * width;
  const values = new Float32Array(pixels * 3);
  const start = first * height * width;
  for (let p = 0; p < pixels; p++)
    for (let k = 0; k < 3; k++) values[3 * p + k] = rgba[4 * (start + p) + (bgr ? 2 - k : k)]! / 255;
  return device.scope(() => {
    const x = Tensor.from(device, values, [n, height, width, 3], "f32", "control pictures");
    return dtype === "f32" ? x : cast(x, dtype, "cast control pictures");
  });
}

/** What errors call the stage in which a control network reads its pictures. */
export function wayInto(network: string): string {
  return `the pictures' way into ${network}`;
}
