import { describe, expect, it, vi } from "vitest";
import { Device } from "../../src/gpu/device.js";
import { Stopwatch } from "../../src/gpu/stopwatch.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { add } from "../../kernels/elementwise.js";
import { testDevice } from "../support/device.js";

describe("Stopwatch", () => {
  it("times the runs at the end of a while of work, and leaves nothing behind", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1, 2], [1, 2], "f32", "a");
    await device.drain();
    const used = device.memory.used;
    const stopwatch = new Stopwatch(device);
    const run = () => device.scope(() => add(add(a, a), a));
    const start = performance.now();
    const ms = await stopwatch.time(run, 1, 20);
    expect(performance.now() - start).toBeGreaterThan(150);
    expect(ms).toBeGreaterThan(0);
    expect(ms).toBeLessThan(100);
    expect(device.memory.used).toBe(used);
    if (!device.capabilities.timestamps) return;
    const entries = await stopwatch.profile(run);
    expect(entries.reduce((n, e) => n + e.calls, 0)).toBe(2); // of all that ran the last
  });

  it("goes by the wall's clock without timestamps", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1, 2], [1, 2], "f32", "a");
    const own = device.capabilities;
    Object.assign(device, { capabilities: { ...own, timestamps: false } });
    try {
      const ms = await new Stopwatch(device).time(() => add(a, a), 1, 20);
      expect(ms).toBeGreaterThan(0);
      expect(ms).toBeLessThan(100);
    } finally {
      Object.assign(device, { capabilities: own });
    }
  });

  it("works for a while after idleness, and for a moment where the device was busy", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    try {
      let runs = 0;
      const run = async () => {
        vi.advanceTimersByTime(5);
        runs++;
        return Promise.resolve();
      };
      const stopwatch = new Stopwatch(Device.dry());
      const counts: number[] = [];
      for (const idle of [0, 1, 50]) {
        vi.advanceTimersByTime(idle);
        runs = 0;
        await stopwatch.warmUp(run);
        counts.push(runs);
      }
      expect(counts).toEqual([30, 2, 30]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("Profiler", () => {
  it("counts more dispatches than one query set holds, and none that it is told to skip", async () => {
    const device = await testDevice();
    if (!device.capabilities.timestamps) return;
    using a = Tensor.from(device, [1, 2], [1, 2], "f32", "a");
    const { result, recording } = device.record(() => add(a, a, "one of many"));
    await device.drain();
    const profiler = device.createProfiler();
    profiler.skip(100);
    device.profiler = profiler;
    for (let i = 0; i < 2200; i++) device.replay(recording);
    await device.drain();
    device.profiler = undefined;
    expect(profiler.entries).toMatchObject([{ label: "one of many", calls: 2100 }]);
    expect(profiler.entries[0]!.ms).toBeGreaterThan(0);
    recording.dispose();
    result.dispose();
  });
});
