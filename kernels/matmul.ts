// y = a · b for plain row-major matrices: b is packed for the occasion and the product goes the way of linear layers,
// whose weights are packed once. The plain variant is the readable reference.

import { specialize } from "../src/gpu/wgsl.js";
import { dims2 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { gemm } from "./gemm.js";
import { packMatrix } from "./gemm-pack.js";

/**
 * Matrix product `[rows, inner] · [inner, columns] → [rows, columns]`, f32 or f16 storage, f32 accumulation (torch.matmul).
 * `variant` forces the readable kernel, for tests and comparisons.
 * @throws Error where the operands' inner sizes or dtypes differ
 */
export function matmul(a: Tensor, b: Tensor, label = "matmul", variant?: "plain"): Tensor {
  const [rows, inner] = dims2(a, "matmul: a");
  const [innerB, columns] = dims2(b, "matmul: b");
  if (inner !== innerB || a.dtype !== b.dtype || (a.dtype !== "f32" && a.dtype !== "f16"))
    throw new Error(
      `matmul: ${String(a)} does not match ${String(b)}: inner sizes and dtypes (f32 or f16) must be equal`,
    );
  const y = Tensor.empty(a.device, [rows, columns], a.dtype, label);
  if (variant === "plain") {
    a.device.dispatch({
      label,
      code: specialize(shaders.matmul, { T: a.dtype }),
      bindings: [a.binding(), b.binding(), y.binding()],
      params: [rows, inner, columns],
      workgroups: [Math.ceil(columns / 8), Math.ceil(rows / 8), 1],
      flops: 2 * rows * inner * columns,
      bytes: a.bytes + b.bytes + y.bytes,
    });
    return y;
  }
  const pixel = [1, 1] as const;
  const places = { source: pixel, input: pixel, output: pixel, kernel: pixel, stride: 1, top: 0, left: 0 };
  using packed = packMatrix(b, label);
  gemm(a, packed, columns, y, { frames: rows, ...places }, {}, label);
  return y;
}
