// a and b blended position by position: what regional prompts make of the attention to two texts.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims3 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { copyHead, mostOfRun, units, widthOf, window } from "./vectors.js";

/**
 * `a [n, positions, c]` with its last m entries replaced by `(1 − share) · a + share · b`, b being `[m, positions, c]` and
 * `shares` f32 `[k, positions]` with k a divisor of m (1: the same for all; m: an entry's own). In a's dtype.
 * @throws Error where shapes or dtypes do not fit
 */
export function mixShares(a: Tensor, b: Tensor, shares: Tensor, label = "mixShares"): Tensor {
  const { device, dtype } = a;
  const [n, positions, c] = dims3(a, "mixShares: a");
  const [m, ...rest] = dims3(b, "mixShares: b");
  const [k = 0, p] = shares.shape;
  if (dtype !== b.dtype || m > n || rest.join() !== [positions, c].join())
    throw new Error(
      `mixShares: ${String(b)} does not fit ${String(a)}: expected the same dtype, positions and channels, and no more entries`,
    );
  if (shares.dtype !== "f32" || shares.shape.length !== 2 || p !== positions || k === 0 || m % k !== 0)
    throw new Error(
      `mixShares: ${String(shares)} does not fit ${String(b)}: expected f32[1, ${positions}] or f32[${m}, ${positions}]`,
    );
  const y = Tensor.empty(device, a.shape, dtype, label);
  const limits = device.capabilities;
  const size = bytesPerElement(dtype);
  const width = widthOf(c);
  const offset = (n - m) * positions * c;
  copyHead(a, y, offset);
  const most = mostOfRun(dtype, limits);
  for (let first = 0; first < b.size; first += most) {
    const count = Math.min(most, b.size - first);
    const [wa, wb, wy] = [
      window(a, offset + first, count, width),
      window(b, first, count, width),
      window(y, offset + first, count, width),
    ];
    device.dispatch({
      label,
      code: specialize(shaders["mix-shares"], units(dtype, width, limits)),
      bindings: [wa.binding, wb.binding, shares.binding(), wy.binding],
      params: [count / width, wa.skip, wb.skip, wy.skip, first / width, c / width, k * positions],
      workgroups: grid(Math.ceil(count / width / 64), limits),
      flops: 3 * count,
      bytes: 3 * count * size + shares.bytes,
    });
  }
  return y;
}
