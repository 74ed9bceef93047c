// Conv2d, the layer, where its weights are transformed as they are packed: what was merged into them counts, how they are
// kept decides, and plans know what they weigh.

import { describe, expect, it } from "vitest";
import { conv2d, packConv2d } from "../../kernels/conv2d.js";
import { mergeLora } from "../../kernels/merge-lora.js";
import { Device } from "../../src/gpu/device.js";
import { Conv2d } from "../../src/nn/conv2d.js";
import { WeightStore, type Patch, type Storage, type WeightSource } from "../../src/nn/weights.js";
import { elements } from "../../src/tensor/shape.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { withLimits } from "../support/limits.js";

const SOFTWARE = { kind: "cpu", subgroups: true, subgroupSize: 8 } as const;
const CHANNELS = 96;
const values = (n: number, seed = 1) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + seed) / 8);
const WEIGHT = values(CHANNELS ** 2 * 9);

const source: WeightSource = {
  name: "made-up weights",
  entries: () => [
    { name: "conv.weight", shape: [CHANNELS, CHANNELS, 3, 3], dtype: "F32" },
    { name: "conv.bias", shape: [CHANNELS], dtype: "F32" },
  ],
  read: (name) => Promise.resolve(new Uint8Array((name === "conv.weight" ? WEIGHT : values(CHANNELS, 2)).slice().buffer)),
};

describe("a layer of 96 channels", () => {
  it.each([false, true])("takes LoRAs and their leaving: doubled %s", async (doubled) => {
    const device = await testDevice();
    const store = new WeightStore(device, "f32");
    const layer = withLimits(device, SOFTWARE, () => new Conv2d(store.root.at("conv"), CHANNELS, CHANNELS, { doubled }));
    const x = Tensor.from(device, values(2 * 5 * 4 * CHANNELS, 3), [2, 5, 4, CHANNELS]);
    const upsample = doubled ? { upsampleTo: [9, 8] as const } : {};
    const [down, up] = [values(4 * CHANNELS * 9, 4), values(CHANNELS * 4, 5)];
    const merged = (raw: Tensor) =>
      mergeLora(raw, [
        {
          down: Tensor.from(device, down, [4, CHANNELS, 3, 3]),
          up: Tensor.from(device, up, [CHANNELS, 4, 1, 1]),
          scale: 0.5,
        },
      ]);
    const patch: Patch = {
      prepare: () => Promise.resolve(),
      apply: (name, raw) => (name === "conv.weight" ? merged(raw) : raw),
    };
    const expected = (lora: boolean) =>
      device.scope(() => {
        const raw = Tensor.from(device, WEIGHT, [CHANNELS, CHANNELS, 3, 3]);
        const bias = Tensor.from(device, values(CHANNELS, 2), [CHANNELS]);
        const w = packConv2d(lora ? merged(raw) : raw);
        return conv2d(x, w, { bias, padding: [1, 1, 1, 1], ...upsample, variant: "plain" });
      });
    for (const lora of [false, true, false]) {
      await store.load(source, lora ? { patch } : { only: new Set(["conv.weight", "conv.bias"]) });
      device.resetCounts();
      using y = layer.forward(x, upsample);
      expect([...device.counts.codes].some((c) => c.includes("Winograd"))).toBe(true);
      using wanted = expected(lora);
      expectClose(await y.read(), await wanted.read(), f32Tolerance(CHANNELS * 9));
    }
    store.dispose();
    x.dispose();
  });

  it("is as heavy as a plan says: transformed, or not where 8 bits are all of a weight", () => {
    const bytes = (storage: Storage, doubled: boolean) => {
      using device = Device.dry(SOFTWARE);
      const store = new WeightStore(device, "f16", storage);
      new Conv2d(store.root.at("conv"), CHANNELS, CHANNELS, { doubled });
      store.pretend();
      return store.bytes;
    };
    const raw = 2 * elements([CHANNELS, CHANNELS, 3, 3]);
    const bias = 4 * CHANNELS;
    expect(bytes({}, false)).toBe((raw * 16) / 9 + bias);
    expect(bytes({}, true)).toBe(raw + bias);
    expect(bytes({ resting: true }, false)).toBe((raw * 16) / 9 + bias);
    expect(bytes({ streamed: true }, false)).toBe((raw * 16) / 9 + bias);
    expect(bytes({ int8: true }, false)).toBeLessThan(0.6 * raw);
  });
});
