// The last step on the device: pictures to 8 bits, so that only a byte a channel is read back.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims4 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";

/** `[frames, h, w, 3]` in −1 … 1 → u32 `[frames, h, w]`, bytes R, G, B, 255. */
export function toPixels(x: Tensor): Tensor {
  const [frames, h, w, channels] = dims4(x, "toPixels: x");
  if (channels !== 3) throw new Error(`toPixels: expected 3 channels, got ${String(x)}`);
  const { device } = x;
  const y = Tensor.empty(device, [frames, h, w], "u32", "pixels");
  const bytes = 3 * bytesPerElement(x.dtype);
  for (const { first, count } of rowSlices(y.size, Math.max(bytes, 4), device.capabilities)) {
    device.dispatch({
      label: "toPixels",
      code: specialize(shaders.pixels, { T: x.dtype }),
      bindings: [x.binding(first * bytes, count * bytes), y.binding(first * 4, count * 4)],
      params: [count],
      workgroups: grid(Math.ceil(count / 64), device.capabilities),
      flops: 5 * count,
      bytes: count * (bytes + 4),
    });
  }
  return y;
}
