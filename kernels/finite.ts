// How many values of a tensor are NaN or infinite: to name the first stage that broke.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { rowSlices } from "./slices.js";

const THREADS = 4096;

/** u32 `[1]`: the number of values that are not finite. */
export function countNonFinite(x: Tensor): Tensor {
  const { device } = x;
  const y = Tensor.from(device, [0], [1], "u32", "count of non-finite values");
  const bytes = bytesPerElement(x.dtype);
  for (const { first, count } of rowSlices(x.size, bytes, device.capabilities)) {
    device.dispatch({
      label: "countNonFinite",
      code: specialize(shaders.finite, { HALVES: x.dtype === "f16" }),
      bindings: [x.binding(first * bytes, count * bytes), y.binding()],
      params: [count, THREADS],
      workgroups: [THREADS / 64, 1, 1],
      flops: count,
      bytes: count * bytes,
    });
  }
  return y;
}
