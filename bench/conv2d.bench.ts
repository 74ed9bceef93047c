// The 3×3 convolutions of Stable Diffusion's residual blocks and upsamplers, one frame of 32×32 latents: as the engine packs
// their weights on the adapter at hand, and in the other way.

import { conv2d, packConv2d } from "../kernels/conv2d.js";
import { convForm, type ConvForm } from "../kernels/winograd.js";
import type { Capabilities } from "../src/gpu/limits.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise, read } from "./operands.js";

/** How a case packs its weights, by the adapter. */
type Choice = (c: Capabilities, channels: number, doubled: boolean) => ConvForm;

const engines: Choice = (c, channels, doubled) =>
  convForm({ inputs: channels, outputs: channels, kernel: 3, stride: 1, doubled }, c);
const others: Choice = (c, channels, doubled) =>
  engines(c, channels, doubled) === "direct" ? (doubled ? "doubled" : "winograd") : "direct";

/** A layer of as many outputs as inputs at `size` pixels, to which `upsample` doubles its input. */
function layer(name: string, channels: number, size: number, choice: Choice, upsample = false): BenchCase {
  return {
    name,
    setup(device, dtype) {
      const source = upsample ? size / 2 : size;
      const x = Tensor.from(device, noise(source ** 2 * channels), [1, source, source, channels], dtype, "x");
      const raw = Tensor.from(device, noise(channels ** 2 * 9), [channels, channels, 3, 3], dtype, "weight");
      const bias = Tensor.from(device, noise(channels), [channels], "f32", "bias");
      const w = packConv2d(raw, { form: choice(device.capabilities, channels, upsample) });
      const sized = upsample ? { upsampleTo: [size, size] as const } : {};
      const options = { bias, padding: [1, 1, 1, 1], label: name, ...sized } as const;
      return {
        run: () => conv2d(x, w, options),
        expected: () => {
          const direct = w.form === "direct" ? w : packConv2d(raw);
          return read(conv2d(x, direct, { ...options, variant: "plain" }));
        },
        // Of the convolution as it is defined, whichever way it is done.
        flops: 2 * size ** 2 * channels ** 2 * 9,
        bytes: ((source ** 2 + size ** 2) * channels + channels ** 2 * 9) * bytesPerElement(dtype),
        tolerance: dtype === "f32" ? 1e-5 : 2e-3,
      };
    },
  };
}

export const cases: BenchCase[] = [
  layer("conv3x3-320@32", 320, 32, engines),
  layer("conv3x3-640@16", 640, 16, engines),
  layer("conv3x3-1280@8", 1280, 8, engines),
  layer("upsample3x3-640@32", 640, 32, engines, true),
  layer("other-way-conv3x3-320@32", 320, 32, others),
  layer("other-way-conv3x3-640@16", 640, 16, others),
  layer("other-way-conv3x3-1280@8", 1280, 8, others),
  layer("other-way-upsample3x3-640@32", 640, 32, others, true),
];
