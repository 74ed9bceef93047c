// Convolutions over channels-last frames, as implicit matrix products.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims4, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { ACTIVATIONS, type Activation } from "./elementwise.js";
import { weightType } from "./linear.js";
import { pack } from "./pack.js";

/** Weights in the order the kernel reads them. */
export interface PackedConv2d {
  readonly weight: Tensor;
  readonly inputs: number;
  readonly outputs: number;
  /** Height, width. */
  readonly kernel: readonly [number, number];
}

export interface Conv2dOptions {
  /** f32 `[outputs]` */
  readonly bias?: Tensor | undefined;
  readonly stride?: 1 | 2 | undefined;
  /** Zeros around the picture: `[top, left, bottom, right]`; default none. */
  readonly padding?: readonly [number, number, number, number] | undefined;
  /** Nearest upsampling of x to `[height, width]` first, folded into the reads. */
  readonly upsampleTo?: readonly [number, number] | undefined;
  readonly activation?: Activation | undefined;
  /** `[frames, out_h, out_w, outputs]`, added last. */
  readonly residual?: Tensor | undefined;
  /** `[groups, outputs]`, each for frames / groups frames, before the activation: a timestep's projection. */
  readonly rowBias?: Tensor | undefined;
  readonly label?: string;
}

/** Packs a weight `[outputs, inputs, kh, kw]` (f32 or f16), to be stored as `dtype` (default the source's). */
export function packConv2d(weight: Tensor, { dtype, label = "conv2d" }: { readonly dtype?: "f32" | "f16"; readonly label?: string } = {}): PackedConv2d {
  const [outputs, inputs, kh, kw] = dims4(weight, "packConv2d: weight");
  const packed = pack({ sources: [weight], outputs, inputs, taps: kh * kw, dtype: dtype ?? (weight.dtype as "f32" | "f16"), label });
  return { weight: packed, inputs, outputs, kernel: [kh, kw] };
}

/**
 * `x [frames, h, w, inputs] → [frames, h', w', outputs]`, in x's dtype with f32 accumulation (torch.nn.functional.conv2d).
 * @throws Error where the operands do not fit
 */
export function conv2d(x: Tensor, w: PackedConv2d, options: Conv2dOptions = {}): Tensor {
  const { bias, stride = 1, padding = [0, 0, 0, 0], upsampleTo, activation = "none", residual, rowBias, label = "conv2d" } = options;
  const { device, dtype } = x;
  const [frames, h, wd, inputs] = dims4(x, "conv2d: x");
  if (inputs !== w.inputs) throw new Error(`conv2d: ${String(x)} has ${inputs} channels, the weight ${String(w.weight)} takes ${w.inputs}`);
  const [kh, kw] = w.kernel;
  const [top, left, bottom, right] = padding;
  const [uh, uw] = upsampleTo ?? [h, wd];
  const oh = Math.floor((uh + top + bottom - kh) / stride) + 1;
  const ow = Math.floor((uw + left + right - kw) / stride) + 1;
  const shape = [frames, oh, ow, w.outputs];
  if (bias) expectShape(bias, [w.outputs], "conv2d: bias");
  if (residual) expectShape(residual, shape, "conv2d: residual");
  for (const t of [residual, rowBias]) if (t && t.dtype !== dtype) throw new Error(`conv2d: ${String(t)} must have the dtype of ${String(x)}`);
  const groups = rowBias?.shape[0] ?? 1;
  if (rowBias) expectShape(rowBias, [groups, w.outputs], "conv2d: rowBias");
  if (frames % groups !== 0) throw new Error(`conv2d: ${frames} frames of ${String(x)} do not divide among the ${groups} rows of ${String(rowBias)}`);

  const y = Tensor.empty(device, shape, dtype, label);
  const size = bytesPerElement(dtype);
  const columnBlocks = Math.ceil(w.outputs / 4);
  const flags = (bias ? 1 : 0) | (residual ? 2 : 0) | (rowBias ? 4 : 0);
  const inFrame = h * wd * inputs * size;
  const outFrame = oh * ow * w.outputs * size;
  const { maxBinding } = device.capabilities;
  const most = Math.floor(maxBinding / Math.max(inFrame, outFrame));
  if (most === 0) throw new Error(`conv2d ${label}: one frame of ${String(x)} exceeds this adapter's largest binding of ${maxBinding} bytes; use a smaller size or --precision f16`);
  for (let frame = 0; frame < frames; frame += most) {
    const n = Math.min(most, frames - frame);
    const rows = n * oh * ow;
    device.dispatch({
      label,
      code: specialize(shaders.conv2d, { T: dtype, W4: weightType(w.weight), activate: shaders["lib/activations"] }),
      bindings: [
        x.binding(frame * inFrame, n * inFrame),
        w.weight.binding(),
        (bias ?? w.weight).binding(0, bias?.bytes ?? 16),
        (rowBias ?? x).binding(0, rowBias?.bytes ?? 16),
        residual ? residual.binding(frame * outFrame, n * outFrame) : x.binding(0, 16),
        y.binding(frame * outFrame, n * outFrame),
      ],
      params: [
        ...[rows, inputs, w.outputs, columnBlocks, wd, h, uw, uh, ow, oh, kw, kh, left, top, stride],
        ...[ACTIVATIONS[activation], flags, (frames / groups) * oh * ow, frame * oh * ow],
      ],
      workgroups: [Math.ceil(columnBlocks / 8), Math.ceil(rows / 64), 1],
      flops: 2 * rows * inputs * kh * kw * w.outputs,
      bytes: n * (inFrame + outFrame * (residual ? 2 : 1)) + w.weight.bytes,
    });
  }
  return y;
}
