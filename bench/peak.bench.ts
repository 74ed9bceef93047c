// The adapter's own limits: arithmetic from registers, and a copy too large for its caches.

import { peakBytes, peakFlops, peakFlopsCount } from "../kernels/peak.js";
import { Tensor } from "../src/tensor/tensor.js";
import type { BenchCase } from "./case.js";
import { noise } from "./operands.js";

const flops: BenchCase = {
  name: "peak-flops",
  setup(device) {
    const [threads, rounds] = device.capabilities.kind === "cpu" ? [4096, 500] : [2 ** 20, 500];
    return {
      run: () => peakFlops(device, threads, rounds),
      expected: () => Promise.resolve(new Float32Array(threads).fill(2)),
      flops: peakFlopsCount(threads, rounds),
      bytes: 4 * threads,
      tolerance: 1e-6,
    };
  },
};

const bytes: BenchCase = {
  name: "peak-bytes",
  setup(device) {
    const size = Math.min(device.capabilities.maxBinding, device.capabilities.kind === "cpu" ? 2 ** 25 : 2 ** 28) / 4;
    const values = noise(size);
    const x = Tensor.from(device, values, [size], "f32", "x");
    return {
      run: () => peakBytes(x),
      expected: () => Promise.resolve(values),
      flops: 0,
      bytes: 8 * size,
      tolerance: 0,
    };
  },
};

export const cases: BenchCase[] = [flops, bytes];
