// Average pooling by 2, as AnimateLCM's image encoder has it.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims4 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { units, widthOf, window } from "./vectors.js";

/**
 * `[frames, h, w, c]` → `[frames, ⌈h/2⌉, ⌈w/2⌉, c]`: torch.nn.functional.avg_pool2d(x, 2) of x padded to even sizes by
 * repeating its last row and column. @throws Error where one frame exceeds the adapter's largest binding
 */
export function avgPool2d(x: Tensor, label = "avgPool2d"): Tensor {
  const { device, dtype } = x;
  const [frames, h, w, channels] = dims4(x, "avgPool2d: x");
  const [oh, ow] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const y = Tensor.empty(device, [frames, oh, ow, channels], dtype, label);
  const limits = device.capabilities;
  const width = widthOf(channels);
  const frameBytes = h * w * channels * bytesPerElement(dtype);
  const most = Math.floor((limits.maxBinding - limits.alignment) / frameBytes);
  if (most === 0)
    throw new Error(
      `avgPool2d: a frame of ${String(x)} exceeds this adapter's largest binding of ${limits.maxBinding} bytes`,
    );
  for (let first = 0; first < frames; first += most) {
    const count = Math.min(most, frames - first);
    const source = window(x, first * h * w * channels, count * h * w * channels, width);
    const target = window(y, first * oh * ow * channels, count * oh * ow * channels, width);
    const values = count * oh * ow * channels;
    device.dispatch({
      label,
      code: specialize(shaders["avg-pool"], units(dtype, width, limits)),
      bindings: [source.binding, target.binding],
      params: [count, h, w, oh, ow, channels / width, source.skip, target.skip],
      workgroups: grid(Math.ceil(values / width / 64), limits),
      flops: 4 * values,
      bytes: count * frameBytes + values * bytesPerElement(dtype),
    });
  }
  return y;
}
