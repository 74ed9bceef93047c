// Bad conditions: no memory, a lost device, a run that is cancelled.

import { describe, expect, it } from "vitest";
import { add } from "../../kernels/elementwise.js";
import { matmul } from "../../kernels/matmul.js";
import { Device } from "../../src/gpu/device.js";
import { deviceDescriptor } from "../../src/gpu/limits.js";
import { nodeGPU } from "../../src/node-device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

/** Dawn's null backend: runs the host's side of everything, and has 512 MiB. */
async function nullDevice(): Promise<Device> {
  const adapter = await (await nodeGPU(["backend=null"])).requestAdapter();
  return Device.from(await adapter!.requestDevice(deviceDescriptor(adapter!)));
}

const MIB = 2 ** 20;

describe("out of memory", () => {
  it("names what there was no room for and the cure, and goes on when memory is free again", async () => {
    using device = await nullDevice();
    const kept = Tensor.empty(device, [64 * MIB], "f32", "kept");
    const large = Tensor.empty(device, [60 * MIB], "f32", "conv2d large");
    using sum = add(large, large);
    expect(sum.size).toBe(60 * MIB);
    await expect(device.drain()).rejects.toThrow(
      /^out of GPU memory: .* has no 240 MiB for "(conv2d large|add)" beside the \d+ MiB in use here; --low-memory/,
    );
    await device.drain(); // said once
    large.dispose();
    kept.dispose();
    sum.dispose();
    device.trim();
    // The buffers that came to nothing are not handed out again.
    expect(device.memory.reserved).toBe(0);
    using again = Tensor.from(device, new Float32Array(30 * MIB), [30 * MIB]);
    await again.readBytes();
  });

  it("frees what a recording had when there was no room for all of it", async () => {
    using device = await nullDevice();
    using x = Tensor.empty(device, [40 * MIB], "f32", "x");
    const { result, recording } = device.record(() => device.scope(() => add(add(x, x), add(x, x))));
    await expect(device.drain()).rejects.toThrow("out of GPU memory");
    result.dispose();
    recording.dispose();
    device.trim();
    expect(device.memory.reserved).toBe(x.bytes);
    await device.drain();
  });
});

describe("a lost device", () => {
  it("says so to whoever waits for its work", async () => {
    using device = await nullDevice();
    using a = Tensor.from(device, [1], [1, 1], "f32", "a");
    using y = matmul(a, a);
    const reading = y.read();
    device.lose();
    await expect(reading).rejects.toThrow(/the GPU device was lost/);
    await expect(device.drain()).rejects.toThrow(/the GPU device was lost/);
  });

  it("leaves other devices alone", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [3], [1, 1], "f32", "a");
    {
      using other = await nullDevice();
      other.lose();
    }
    using y = matmul(a, a);
    expect((await y.read())[0]).toBe(9);
  });
});

describe("cancelling", () => {
  it("takes effect within 100 ms of work that goes on for longer", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, new Float32Array(512 * 512), [512, 512]);
    using warm = matmul(a, a);
    await warm.read();
    const products = device.capabilities.kind === "gpu" ? 50_000 : 100; // half a second at least
    for (let i = 0; i < products; i++) matmul(a, a).dispose();
    const controller = new AbortController();
    const running = device.drain(controller.signal);
    let cancelled = 0;
    setTimeout(() => {
      cancelled = performance.now();
      controller.abort(new Error("enough"));
    }, 50);
    await expect(running).rejects.toThrow("enough");
    expect(cancelled).toBeGreaterThan(0);
    expect(performance.now() - cancelled).toBeLessThan(100);
    // What still ran does not disturb what comes next.
    using b = Tensor.from(device, [4], [1, 1]);
    using y = matmul(b, b);
    expect((await y.read())[0]).toBe(16);
  });
});
