// What an adapter can do at most: the roofline that other kernels are measured against.

import type { Device } from "../src/gpu/device.js";
import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid, rowSlices } from "./slices.js";

/** Multiplications and additions of a thread in one round of peak-flops.wgsl: 4 turns of 8 chains of 4 lanes. */
const FLOPS_PER_ROUND = 4 * 8 * 4 * 2;

/** Arithmetic of `peakFlops`. */
export function peakFlopsCount(threads: number, rounds: number): number {
  return threads * rounds * FLOPS_PER_ROUND;
}

/** Multiply-adds in registers, `threads` (a multiple of 64) times `rounds`; f32 `[threads]` of 2 after 20 rounds or more. */
export function peakFlops(device: Device, threads: number, rounds: number): Tensor {
  const y = Tensor.empty(device, [threads], "f32", "peak flops");
  device.dispatch({
    label: "peakFlops",
    code: specialize(shaders["peak-flops"], {}),
    bindings: [y.binding()],
    params: [rounds, f32Bits(0.5), f32Bits(1)],
    workgroups: [threads / 64, 1, 1],
    flops: peakFlopsCount(threads, rounds),
    bytes: y.bytes,
  });
  return y;
}

/** A copy of a tensor of 4-byte elements: on software adapters by few threads, of which each does much. */
export function peakBytes(x: Tensor): Tensor {
  const { device } = x;
  const { capabilities } = device;
  const y = Tensor.empty(x.device, x.shape, x.dtype, "copy");
  for (const { first, count } of rowSlices(x.size, 4, capabilities)) {
    const units = Math.ceil(count / 4);
    const groups = Math.min(Math.ceil(units / 256), capabilities.kind === "cpu" ? 40 : 2 ** 16);
    device.dispatch({
      label: "peakBytes",
      code: specialize(shaders["peak-bytes"], {}),
      bindings: [x.binding(4 * first, 4 * count), y.binding(4 * first, 4 * count)],
      params: [units, Math.ceil(units / (256 * groups))],
      workgroups: grid(groups, capabilities),
      flops: 0,
      bytes: 8 * count,
    });
  }
  return y;
}
