import { describe, expect, it } from "vitest";
import { linear, packLinear } from "../../kernels/linear.js";
import { cacheName, recallTuning, storageTuningCache, tune, type Timer } from "../../kernels/tune.js";
import { Device } from "../../src/gpu/device.js";
import type { Capabilities } from "../../src/gpu/limits.js";
import type { TuningCache } from "../../src/gpu/tuning.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, f32Tolerance } from "../support/allclose.js";
import { testDevice } from "../support/device.js";

const GPU = { kind: "gpu", subgroupSize: 0, identity: "a GPU with its driver" } as const;
/** On GPUs: one whole product of few tiles, which the table splits in eight. */
const SITE = "gemm f16 f16 1x1 2^6 rows 2^12 deep 2^9 outputs";

const product = (device: Device) =>
  device.scope(() => {
    const w = packLinear(Tensor.empty(device, [320, 2560], "f16", "w"));
    linear(Tensor.empty(device, [64, 2560], "f16", "x"), w);
  });

/** Gives each way the time that `ms` says, and notes who asked. */
function fakeTimer(ms: Readonly<Record<string, number>>, asked: string[] = []): Timer {
  return (run, { way }) => {
    run();
    asked.push(way);
    return Promise.resolve(ms[way] ?? 10);
  };
}

function memoryCache(): TuningCache & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>();
  return {
    texts,
    read: (name) => Promise.resolve(texts.get(name)),
    write: (name, text) => Promise.resolve(void texts.set(name, text)),
  };
}

/** Dispatches of the product: the split one takes two. */
function dispatches(device: Device): number {
  device.resetCounts();
  product(device);
  return device.counts.dispatches - 1; // one packs the weights
}

describe("tune", () => {
  it("takes what was fastest, for the site that was measured alone", async () => {
    using device = Device.dry(GPU);
    expect(dispatches(device)).toBe(2);
    const asked: string[] = [];
    const results = await tune(device, product, { timer: fakeTimer({ gpu: 4 }, asked) });
    expect(results).toEqual([{ site: SITE, way: "gpu", ms: { "gpu/8": 10, "gpu/4": 10, "gpu/2": 10, gpu: 4 } }]);
    expect(asked.filter((way) => way === "gpu")).toHaveLength(3);
    expect(asked.filter((way) => way === "gpu/4")).toHaveLength(1); // hopeless after the first turn
    expect(dispatches(device)).toBe(1);
    expect(device.tuning.choices).toEqual({ [SITE]: "gpu" });
    expect(device.memory.used).toBe(0);
  });

  it("stays with the table where another way gains no more than measurements differ", async () => {
    using device = Device.dry(GPU);
    const [result] = await tune(device, product, { timer: fakeTimer({ gpu: 9.6 }) });
    expect(result!.way).toBe("gpu/8");
    expect(device.tuning.choices).toEqual({});
  });

  it("times nothing that the cache knows, unless told to", async () => {
    const cache = memoryCache();
    using first = Device.dry(GPU);
    await tune(first, product, { cache, timer: fakeTimer({ gpu: 1 }) });
    using recalling = Device.dry(GPU);
    await recallTuning(recalling, cache);
    expect(recalling.tuning.choices).toEqual({ [SITE]: "gpu" });
    const asked: string[] = [];
    using second = Device.dry(GPU);
    await tune(second, product, { cache, timer: fakeTimer({}, asked) });
    expect(asked).toEqual([]);
    expect(dispatches(second)).toBe(1);
    await tune(second, product, { cache, redo: true, timer: fakeTimer({ "gpu/2": 1 }, asked) });
    expect(asked).not.toEqual([]);
    expect(second.tuning.choices).toEqual({ [SITE]: "gpu/2" });
    await tune(second, product, { cache, redo: true, timer: fakeTimer({}) });
    expect(second.tuning.choices).toEqual({}); // the table's again
  });

  it.each<[string, Partial<Capabilities>]>([
    ["another driver", { identity: "a GPU with a later driver" }],
    ["other ways", { subgroupMatrix: true, subgroupSize: 32 }],
  ])("does not believe what was measured with %s", async (_, limits) => {
    const cache = memoryCache();
    using first = Device.dry(GPU);
    await tune(first, product, { cache, timer: fakeTimer({ gpu: 1 }) });
    using second = Device.dry({ ...GPU, ...limits });
    const asked: string[] = [];
    await tune(second, product, { cache, timer: fakeTimer({}, asked) });
    expect(asked).not.toEqual([]);
  });

  it.each(["", "{", '{"format":1,"results":[{"site":3}]}', '{"format":0,"results":[]}', "[]", "null"])(
    "measures again where the cache holds %j",
    async (text) => {
      using device = Device.dry(GPU);
      const cache = memoryCache();
      cache.texts.set(cacheName(device), text);
      const [result] = await tune(device, product, { cache, timer: fakeTimer({ gpu: 1 }) });
      expect(result!.way).toBe("gpu");
      expect(JSON.parse(cache.texts.get(cacheName(device))!)).toMatchObject({ results: [{ site: SITE, way: "gpu" }] });
    },
  );

  it("looks into recordings too, and leaves their plan of memory alone", async () => {
    using plain = Device.dry(GPU);
    const recorded = (device: Device) => device.record(() => product(device)).recording.dispose();
    plain.pool.resetPeaks();
    recorded(plain);
    using collecting = Device.dry(GPU);
    const trials = collecting.tuning.collect();
    recorded(collecting);
    expect([...trials.keys()]).toEqual([SITE]);
    expect(collecting.counts.dispatches).toBe(plain.counts.dispatches);
  });

  it("keeps results in the browser's storage, and bears it being full", async () => {
    const items = new Map<string, string>();
    const cache = storageTuningCache({
      getItem: (name) => items.get(name) ?? null,
      setItem: (name, text) => {
        if (items.size > 0) throw new Error("QuotaExceededError");
        items.set(name, text);
      },
    });
    expect(await cache.read("tuning")).toBeUndefined();
    await cache.write("tuning", "text");
    expect(await cache.read("tuning")).toBe("text");
    await expect(cache.write("more", "text")).resolves.toBeUndefined();
  });

  it("times on a real device, and every way computes the same", async () => {
    const device = await testDevice();
    const values = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7));
    // Deep enough for GPUs to have another way than the whole sum: in two shares.
    const run = (on: Device, variant?: "plain") =>
      on.scope(() => {
        const w = packLinear(Tensor.from(on, values(512 * 40), [40, 512]));
        return linear(Tensor.from(on, values(24 * 512), [24, 512]), w, variant && { variant });
      });
    const expected = await run(device, "plain").read();
    const used = device.memory.used;
    const [result] = await tune(device, (dry) => void run(dry));
    expect(device.memory.used).toBe(used);
    expect(Object.keys(result!.ms).length).toBeGreaterThan(1);
    expect(Object.values(result!.ms).every((ms) => ms > 0)).toBe(true);
    for (const way of Object.keys(result!.ms)) {
      device.tuning.adopt({ [result!.site]: way });
      using y = run(device);
      expectClose(await y.read(), expected, f32Tolerance(512));
    }
    device.tuning.adopt({});
  });
});
