// 2-D convolution over channels-last frames, with what a UNet or VAE puts around it folded in: nearest upsampling of the
// input, a second input, time embedding, activation and residual. Weights are packed once, at load.

import { dims4 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { Activation } from "./elementwise.js";
import { gemm, type GemmWay } from "./gemm.js";
import { packGemm } from "./gemm-pack.js";
import { checkEpilogue } from "./linear.js";
import { winograd, type ConvForm } from "./winograd.js";
import { transformWeight } from "./winograd-weight.js";

/** Weights of `conv2d`, in the order in which the kernels read them. */
export interface PackedConv2d {
  /** `[panels, taps, inputs padded, columns of a panel]`; where it is transformed, its points are the taps. */
  readonly weight: Tensor;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly form: ConvForm;
}

/**
 * Packs PyTorch's weight `[outputs, inputs, kh, kw]` (f32 or f16). `dtype` is that in memory (default: the tensor's); f16
 * does not need an adapter that computes in f16. `form`: transformed for `winograd` where it is 3 × 3, to be used with
 * stride 1 (and `doubled` only with upsampling to twice the size); default `direct`, which fits every use.
 * @throws Error where shape or dtype do not fit
 */
export function packConv2d(
  weight: Tensor,
  options: { readonly dtype?: "f32" | "f16"; readonly form?: ConvForm; readonly label?: string } = {},
): PackedConv2d {
  const [outputs, inputs, kh, kw] = dims4(weight, "packConv2d: weight");
  if (weight.dtype !== "f32" && weight.dtype !== "f16")
    throw new Error(`packConv2d: expected a weight in f32 or f16, got ${String(weight)}`);
  const { dtype = weight.dtype, form = "direct", label = weight.label } = options;
  const transformed = form === "direct" ? weight : transformWeight(weight, form, dtype);
  const packed = packGemm([transformed], dtype, false, label);
  if (transformed !== weight) transformed.dispose();
  return { weight: packed, inputs, outputs, kernel: [kh, kw], form };
}

export interface Conv2dOptions {
  /** f32 `[O]`. */
  readonly bias?: Tensor | undefined;
  /** Default 1. */
  readonly stride?: 1 | 2 | undefined;
  /** Zeros around x, `[top, left, bottom, right]`; default none. */
  readonly padding?: readonly [number, number, number, number] | undefined;
  /** Nearest-neighbour upsampling of x to `[height, width]` first (torch: source = floor(target · in / out)). */
  readonly upsampleTo?: readonly [number, number] | undefined;
  readonly activation?: Activation | undefined;
  /** Added last; the result's shape and dtype. */
  readonly residual?: Tensor | undefined;
  /** `[G, O]` of x's dtype, added before the activation: frame f takes entry floor(f / (frames / G)). */
  readonly rowBias?: Tensor | undefined;
  /** A second source, as if its channels were concatenated after x's. */
  readonly x2?: Tensor | undefined;
  readonly label?: string | undefined;
  /** Forces a variant; for tests. @internal */
  readonly variant?: GemmWay | undefined;
}

/**
 * `x [F, H, W, C] → [F, Ho, Wo, O]` in x's dtype, accumulated in f32 (torch.nn.functional.conv2d, channels last), with
 * Ho = floor((H + top + bottom − kh) / stride) + 1.
 * @throws Error naming both operands where shapes or dtypes do not fit
 */
export function conv2d(x: Tensor, w: PackedConv2d, options: Conv2dOptions = {}): Tensor {
  const {
    bias,
    stride = 1,
    padding = [0, 0, 0, 0],
    upsampleTo,
    activation,
    residual,
    rowBias,
    x2,
    label = "conv2d",
    variant,
  } = options;
  const [frames, height, width, channels] = dims4(x, "conv2d: x");
  if (x.dtype !== "f32" && x.dtype !== "f16") throw new Error(`conv2d: expected x in f32 or f16, got ${String(x)}`);
  if (x2 && (x2.dtype !== x.dtype || dims4(x2, "conv2d: x2").slice(0, 3).join() !== [frames, height, width].join()))
    throw new Error(
      `conv2d: x2 ${String(x2)} does not go with x ${String(x)}: dtype, frames, height and width must be equal`,
    );
  const [kh, kw] = w.kernel;
  if (channels + (x2?.shape[3] ?? 0) !== w.inputs)
    throw new Error(
      `conv2d: ${String(x)}${x2 ? ` and ${String(x2)}` : ""} do not match the weight [${w.outputs}, ${w.inputs}, ${kh}, ${kw}] "${w.weight.label}"`,
    );
  const input = upsampleTo ?? ([height, width] as const);
  if (input[0] < height || input[1] < width)
    throw new Error(`conv2d: upsampleTo [${input.join(", ")}] is smaller than ${String(x)}`);
  const [top, left, bottom, right] = padding;
  const output = [
    Math.floor((input[0] + top + bottom - kh) / stride) + 1,
    Math.floor((input[1] + left + right - kw) / stride) + 1,
  ] as const;
  if (output[0] < 1 || output[1] < 1 || padding.some((p) => p < 0))
    throw new Error(`conv2d: a ${kh}×${kw} kernel does not fit ${String(x)} with padding [${padding.join(", ")}]`);
  const shape = [frames, ...output, w.outputs];
  checkEpilogue("conv2d", x, w.outputs, shape, frames, w.weight.label, options);
  const y = Tensor.empty(x.device, shape, x.dtype, label);
  const geometry = { frames, source: [height, width], input, output, kernel: w.kernel, stride, top, left } as const;
  const epilogue = { x2, bias, rowBias, residual, activation, variant };
  if (w.form === "direct") gemm(x, w.weight, w.outputs, y, geometry, epilogue, label);
  else winograd(x, w.weight, w.form, y, geometry, epilogue, label);
  return y;
}
