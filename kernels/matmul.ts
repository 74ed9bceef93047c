// y = a · b for plain row-major matrices. The readable reference; layers use `linear`, whose weights are packed once.

import { specialize } from "../src/gpu/wgsl.js";
import { dims2 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

/**
 * Matrix product `[rows, inner] · [inner, columns] → [rows, columns]`, f32 or f16 storage, f32 accumulation (torch.matmul).
 * @throws Error where the operands' inner sizes or dtypes differ
 */
export function matmul(a: Tensor, b: Tensor, label = "matmul"): Tensor {
  const [rows, inner] = dims2(a, "matmul: a");
  const [innerB, columns] = dims2(b, "matmul: b");
  if (inner !== innerB || a.dtype !== b.dtype)
    throw new Error(`matmul: ${String(a)} does not match ${String(b)}: inner sizes and dtypes must be equal`);
  const y = Tensor.empty(a.device, [rows, columns], a.dtype, label);
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
