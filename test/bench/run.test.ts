import { describe, expect, it } from "vitest";
import { cases, casesNamed } from "../../bench/index.js";
import { prepare, runBench } from "../../bench/run.js";
import type { BenchCase } from "../../bench/case.js";
import { peakBytes, peakFlops } from "../../kernels/peak.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

describe("benchmarks", () => {
  it("have the names that others compare by", () => {
    expect(cases.map((c) => c.name)).toEqual(
      expect.arrayContaining([
        "matmul-512",
        "conv3x3-320@32",
        "conv3x3-640@16",
        "conv3x3-1280@8",
        "linear-1024x320x2560",
        "attention-self-1024-8x40",
        "attention-cross-1024x77-8x40",
        "attention-temporal-1024x16-8x40",
        "group-norm-16x32x32x320",
        "layer-norm-16384x320",
        "unet-narrow",
        "peak-flops",
        "peak-bytes",
      ]),
    );
    expect(new Set(cases.map((c) => c.name)).size).toBe(cases.length);
    expect(casesNamed(["conv3x3*", "matmul-512"]).map((c) => c.name)).toEqual([
      "matmul-512",
      "conv3x3-320@32",
      "conv3x3-640@16",
      "conv3x3-1280@8",
    ]);
    expect(() => casesNamed(["nonsense"])).toThrow('bench: no case "nonsense"; there are peak-flops, ');
  });

  it("reports plausible figures and frees what it allocated", async () => {
    const device = await testDevice();
    const used = device.memory.used;
    const seen: string[] = [];
    const results = await runBench(device, {
      names: ["elementwise-sampler-step"],
      precision: "f32",
      repeats: 5,
      onResult: (r) => seen.push(r.name),
    });
    expect(seen).toEqual(["elementwise-sampler-step"]);
    const [r] = results;
    expect(r).toMatchObject({ name: "elementwise-sampler-step", dtype: "f32" });
    expect(r!.gbps * r!.ms).toBeCloseTo((16 * 262144) / 1e6, 3);
    expect(r!.share).toBeGreaterThan(0);
    expect(device.memory.used).toBe(used);
  });

  it("refuse to time what is wrong, and free it too", async () => {
    const device = await testDevice();
    const used = device.memory.used;
    const wrong: BenchCase = {
      name: "wrong",
      setup: (d) => {
        const x = Tensor.from(d, [1, 2, 3, 4], [4]);
        return {
          run: () => peakBytes(x),
          expected: () => Promise.resolve([1, 2, 3, 5]),
          flops: 1,
          bytes: 1,
          tolerance: 1e-3,
        };
      },
    };
    await expect(prepare(device, wrong, "f32")).rejects.toThrow(
      "bench wrong: the result is wrong: relative L2 distance",
    );
    expect(device.memory.used).toBe(used);
  });
});

describe("peak kernels", () => {
  it("run their chains to the fixed point, and copy every word", async () => {
    const device = await testDevice();
    using y = peakFlops(device, 128, 40);
    expect([...(await y.read())]).toEqual(Array.from({ length: 128 }, () => 2));
    const words = Uint32Array.from({ length: 1001 }, (_, i) => i * 2654435761);
    using x = Tensor.from(device, words, [1001], "u32");
    using copy = peakBytes(x);
    expect(await copy.readU32()).toEqual(words);
  });
});
