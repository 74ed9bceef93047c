// Pictures between 8 bits and the networks' range: on the device, so that only a byte a channel is read back or uploaded.

import { specialize, type Replacements } from "../src/gpu/wgsl.js";
import type { Binding } from "../src/gpu/work.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims3, dims4 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";
import { packing, unitType, unpacking } from "./vectors.js";

/**
 * `[frames, h, w, 3]` in −1 … 1 → u32 `[frames, h, w]`, bytes R, G, B, 255. `truncate` cuts fractions off instead of rounding.
 * @throws Error unless there are 3 channels
 */
export function toPixels(x: Tensor, { truncate = false }: { readonly truncate?: boolean } = {}): Tensor {
  const [frames, h, w, channels] = dims4(x, "toPixels: x");
  if (channels !== 3) throw new Error(`toPixels: expected 3 channels, got ${String(x)}`);
  const y = Tensor.empty(x.device, [frames, h, w], "u32", "pixels");
  const limits = x.device.capabilities;
  const access = { ...unpacking(x.dtype, 4, limits), ...(truncate && { TRUNCATE: true }) };
  convert("toPixels", shaders.pixels, access, x, y, (colours, pixels) => [colours, pixels]);
  return y;
}

/** The reverse: u32 `[frames, h, w]` → `[frames, h, w, 3]`, byte / 255 · 2 − 1. @throws Error for other tensors */
export function fromPixels(pixels: Tensor, dtype: "f32" | "f16"): Tensor {
  const shape = dims3(pixels, "fromPixels: pixels");
  if (pixels.dtype !== "u32") throw new Error(`fromPixels: pixels must be u32, got ${String(pixels)}`);
  const y = Tensor.empty(pixels.device, [...shape, 3], dtype, "picture");
  const limits = pixels.device.capabilities;
  convert("fromPixels", shaders["pixels-from"], packing(dtype, 4, limits), y, pixels, (colours, p) => [p, colours]);
  return y;
}

/** Dispatches over runs of pixels; `order` puts the bindings as the shader has them. */
function convert(
  label: string,
  shader: string,
  access: Replacements,
  colours: Tensor,
  pixels: Tensor,
  order: (colours: Binding, pixels: Binding) => Binding[],
): void {
  const { device, dtype } = colours;
  const bytes = 3 * bytesPerElement(dtype);
  for (const { first, count } of rowSlices(pixels.size, Math.max(bytes, 4), device.capabilities)) {
    device.dispatch({
      label,
      code: specialize(shader, { V: unitType(dtype, 4, device.capabilities), ...access }),
      bindings: order(colours.binding(first * bytes, count * bytes), pixels.binding(first * 4, count * 4)),
      params: [Math.ceil(count / 4), Math.ceil((3 * count) / 4)],
      workgroups: grid(Math.ceil(count / 256), device.capabilities),
      flops: 15 * count,
      bytes: count * (bytes + 4),
    });
  }
}
