// Weighted sum of tensors: the only arithmetic a sampler needs, always in f32.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { sameShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";

const MAX_TERMS = 6;

/** Σ coefficient · tensor over one to six f32 tensors of one shape. @throws Error where they do not fit */
export function linearCombination(terms: readonly (readonly [Tensor, number])[], label = "linearCombination"): Tensor {
  const first = terms[0]?.[0];
  if (!first || terms.length > MAX_TERMS)
    throw new Error(`linearCombination: expected 1 to ${MAX_TERMS} terms, got ${terms.length}`);
  const odd = terms.find(([t]) => t.dtype !== "f32" || !sameShape(t.shape, first.shape));
  if (odd)
    throw new Error(
      `linearCombination: ${String(odd[0])} does not match ${String(first)}: all must be f32 of one shape`,
    );
  const { device } = first;
  const y = Tensor.empty(device, first.shape, "f32", label);
  const tensors = Array.from({ length: MAX_TERMS }, (_, i) => terms[i]?.[0] ?? first);
  const coefficients = Array.from({ length: 8 }, (_, i) => f32Bits(terms[i]?.[1] ?? 0));
  for (const { first: start, count } of rowSlices(y.size, 4, device.capabilities)) {
    device.dispatch({
      label,
      code: specialize(shaders["linear-combination"], {}),
      bindings: [...tensors, y].map((t) => t.binding(start * 4, count * 4)),
      params: [Math.ceil(count / 4), terms.length, 0, 0, ...coefficients],
      workgroups: grid(Math.ceil(count / 256), device.capabilities),
      flops: 2 * terms.length * count,
      bytes: (terms.length + 1) * 4 * count,
    });
  }
  return y;
}
