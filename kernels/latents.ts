// What happens to latents around the networks: another order of dimensions (torch's [1, c, f, h, w] and the engine's
// [f, h, w, c]), a factor, classifier-free guidance.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement, type DType } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";
import { unitType, unpacking, widthOf } from "./vectors.js";

/** Five sizes fill two vec4u with these. */
const NO_WORDS = [0, 0, 0];

export interface PermuteOptions {
  /** Multiplied into every value; default 1. */
  readonly scale?: number;
  /** Of the result; default x's. */
  readonly dtype?: "f32" | "f16";
  readonly label?: string;
}

/**
 * scale · x with dimension `order[i]` of x as dimension i (torch.permute, copied), up to five dimensions.
 * @throws Error where `order` is no permutation of x's dimensions, or x exceeds the largest binding and its first
 * dimension does not stay first
 */
export function permute(
  x: Tensor,
  order: readonly number[],
  { scale = 1, dtype, label = "permute" }: PermuteOptions = {},
): Tensor {
  const { device } = x;
  const n = x.shape.length;
  if (n > 5 || order.length !== n || order.toSorted((a, b) => a - b).some((d, i) => d !== i))
    throw new Error(`permute: [${order.join(", ")}] is no order of the dimensions of ${String(x)} (up to five)`);
  const strides = x.shape.map((_, i) => x.shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const shape = order.map((d) => x.shape[d]!);
  const type: DType = dtype ?? x.dtype;
  const y = Tensor.empty(device, shape, type, label);
  const [from, to] = [bytesPerElement(x.dtype), bytesPerElement(type)];
  const inner = x.size / (x.shape[0] ?? 1);
  const rows = order[0] === 0 ? (x.shape[0] ?? 1) : 1;
  const limits = device.capabilities;
  if (order[0] !== 0 && x.size * Math.max(from, to) > limits.maxBinding)
    throw new Error(
      `permute: ${String(x)} exceeds this adapter's largest binding of ${limits.maxBinding} bytes; permute it in parts`,
    );
  const front = Array.from({ length: 5 - n }, () => 1);
  for (const { first, count } of rowSlices(rows, (x.size / rows) * Math.max(from, to), limits, step(inner))) {
    const values = count * (x.size / rows);
    const start = first * inner;
    device.dispatch({
      label,
      code: specialize(shaders["latents-permute"], { A: x.dtype, T: type }),
      bindings: [x.binding(start * from, values * from), y.binding(start * to, values * to)],
      params: [
        values,
        f32Bits(scale),
        0,
        0,
        ...front,
        rows === 1 ? shape[0]! : count,
        ...shape.slice(1),
        ...NO_WORDS,
        ...front.map(() => 0),
        ...order.map((d) => strides[d]!),
        ...NO_WORDS,
      ],
      workgroups: grid(Math.ceil(values / 64), limits),
      flops: values,
      bytes: values * (from + to),
    });
  }
  return y;
}

/** The fewest rows of `size` elements that begin at an aligned offset, for f16 too. */
function step(size: number): number {
  let rows = 1;
  while (rows < 256 && (rows * size * 2) % 256 !== 0) rows *= 2;
  return rows;
}

/**
 * u + g · (c − u) of the unconditional and conditional halves `[2·frames, h, w, c]` (Ho and Salimans 2022), in f32.
 * @throws Error where there are no two halves
 */
export function guidance(eps: Tensor, scale: number): Tensor {
  const { device, dtype } = eps;
  const [n = 0, ...rest] = eps.shape;
  if (n % 2 !== 0 || n === 0)
    throw new Error(`guidance: expected an unconditional and a conditional half, got ${String(eps)}`);
  const y = Tensor.empty(device, [n / 2, ...rest], "f32", "guidance");
  const limits = device.capabilities;
  const width = widthOf(y.size);
  device.dispatch({
    label: "guidance",
    code: specialize(shaders["latents-guidance"], {
      V: unitType(dtype, width, limits),
      F: width === 4 ? "vec4f" : "f32",
      ...unpacking(dtype, width, limits),
    }),
    bindings: [eps.binding(), y.binding()],
    params: [y.size / width, f32Bits(scale)],
    workgroups: grid(Math.ceil(y.size / width / 64), limits),
    flops: 3 * y.size,
    bytes: eps.bytes + y.bytes,
  });
  return y;
}
