// Elementwise operations: activations, sums, conversions between storage types.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { sameShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";
import { packing, unitType, unpacking } from "./vectors.js";

/** Activations a kernel can apply; numbers as in lib/activations.wgsl. */
export const ACTIVATIONS = { none: 0, silu: 1, gelu: 2, gelu_tanh: 3, quick_gelu: 4, relu: 5 } as const;
export type Activation = keyof typeof ACTIVATIONS;

/** torch.nn.functional.silu, gelu (exact), gelu(approximate="tanh"), CLIP's quick_gelu or relu of every element. */
export function activate(x: Tensor, activation: Activation, label: string = activation): Tensor {
  return elementwise(x, undefined, x.dtype, activation, label);
}

/** a + b. @throws Error where shapes or dtypes differ */
export function add(a: Tensor, b: Tensor, label = "add"): Tensor {
  if (!sameShape(a.shape, b.shape) || a.dtype !== b.dtype)
    throw new Error(`add: ${String(a)} does not match ${String(b)}: shapes and dtypes must be equal`);
  return elementwise(a, b, a.dtype, "none", label);
}

/** The values as f32 or f16 (rounded to nearest even). */
export function cast(x: Tensor, dtype: "f32" | "f16", label = `cast ${x.label}`): Tensor {
  return elementwise(x, undefined, dtype, "none", label);
}

function elementwise(
  a: Tensor,
  b: Tensor | undefined,
  dtype: Tensor["dtype"],
  activation: Activation,
  label: string,
): Tensor {
  const { device } = a;
  const limits = device.capabilities;
  const y = Tensor.empty(device, a.shape, dtype, label);
  const [from, to] = [bytesPerElement(a.dtype), bytesPerElement(dtype)];
  const code = specialize(shaders.elementwise, {
    A: unitType(a.dtype, 4, limits),
    V: unitType(dtype, 4, limits),
    ...unpacking(a.dtype, 4, limits),
    ...packing(dtype, 4, limits),
    HAS_B: b !== undefined,
    ACTIVATION: `${ACTIVATIONS[activation]}u`,
    ...(activation === "none" ? {} : { activate: shaders["lib/activations"] }),
  });
  for (const { first, count } of rowSlices(a.size, Math.max(from, to), limits)) {
    const range = (t: Tensor, size: number) => t.binding(first * size, count * size);
    device.dispatch({
      label,
      code,
      bindings: [range(a, from), range(b ?? a, from), range(y, to)],
      params: [Math.ceil(count / 4)],
      workgroups: grid(Math.ceil(count / 256), limits),
      flops: count,
      bytes: count * ((b ? 2 : 1) * from + to),
    });
  }
  return y;
}
