import { describe, expect, it } from "vitest";
import { add } from "../../kernels/elementwise.js";
import { matmul } from "../../kernels/matmul.js";
import { Device } from "../../src/gpu/device.js";
import { DeviceLostError } from "../../src/gpu/errors.js";
import { deviceDescriptor } from "../../src/gpu/limits.js";
import { HostTensor } from "../../src/nn/residency.js";
import { nodeGPU } from "../../src/node-device.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { testDevice } from "../support/device.js";

describe("recorded work", () => {
  it("keeps uploads in order with dispatches", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1], [1, 1], "f32", "a");
    using b = Tensor.from(device, [10], [1, 1], "f32", "b");
    using first = matmul(a, b);
    a.write(new Uint8Array(Float32Array.of(2).buffer));
    using second = matmul(a, b);
    expect([...(await first.read()), ...(await second.read())]).toEqual([10, 20]);
  });

  it("replays a recording on changed inputs", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [3], [1, 1], "f32", "a");
    using b = Tensor.from(device, [5], [1, 1], "f32", "b");
    const { result: y, recording } = device.record(() => matmul(a, b));
    expect((await y.read())[0]).toBe(15);
    b.write(new Uint8Array(Float32Array.of(7).buffer));
    device.replay(recording);
    expect((await y.read())[0]).toBe(21);
    y.dispose();
    recording.dispose();
    expect(() => device.replay(recording)).toThrow("disposed");
  });

  it("sets a recording's buffers apart from everybody else's", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [2], [1, 1], "f32", "a");
    const { result: y, recording } = device.record(() => device.scope(() => matmul(matmul(a, a), a)));
    // A tensor of the same size must not get the intermediate's buffer, which the replay will overwrite.
    using other = Tensor.from(device, [100], [1, 1], "f32", "other");
    device.replay(recording);
    expect((await y.read())[0]).toBe(8);
    expect((await other.read())[0]).toBe(100);
    y.dispose();
    recording.dispose();
  });

  it("downloads in the middle of work and uploads the same bytes later, anew in each replay", async () => {
    const device = await testDevice();
    const n = 5 * 2 ** 20; // 20 MiB: more than a batch takes to the host
    const pattern = (period: number) => {
      const values = new Float32Array(n);
      for (let i = 0; i < n; i++) values[i] = i % period;
      return values;
    };
    using a = Tensor.from(device, pattern(1000), [n], "f32", "a");
    const before = device.counts.hostBytes;
    const { result: back, recording } = device.record(() => {
      const parked = device.scope(() => HostTensor.park(add(a, a)));
      const other = add(a, a); // may take the place of what was parked
      return device.scope(() => add(parked.upload(device), other));
    });
    expect(device.counts.hostBytes - before).toBe(4 * n);
    const first = await back.read();
    a.write(new Uint8Array(pattern(7).buffer));
    device.replay(recording);
    const second = await back.read();
    expect([1, 999, n - 1].map((i) => [first[i], second[i]])).toEqual(
      [1, 999, n - 1].map((i) => [4 * (i % 1000), 4 * (i % 7)]),
    );
    back.dispose();
    recording.dispose();
    device.trim();
  });

  it("says so where the machine has no memory for a download", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [1, 2, 3, 4], [4], "f32", "a");
    expect(() => device.download({ ...a.binding(), size: 2 ** 53 })).toThrow(/^out of memory: the machine has no/);
  });

  it("tells that a download failed with the device", async () => {
    const gpu = await nodeGPU();
    const adapter = await gpu.requestAdapter();
    const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
    using device = Device.from(raw);
    const a = Tensor.from(device, [1, 2, 3, 4], [4], "f32", "a");
    HostTensor.park(a);
    const running = device.drain();
    expect(device.isLost).toBe(false);
    device.lose();
    await expect(running).rejects.toThrow(DeviceLostError);
    expect(device.isLost).toBe(true);
  });

  it("drops the work of an aborted caller and goes on with the next", async () => {
    const device = await testDevice();
    using a = Tensor.from(device, [3], [1, 1], "f32", "a");
    await device.drain();
    using lost = matmul(a, a);
    await expect(device.drain(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    using y = matmul(a, a);
    expect((await y.read())[0]).toBe(9);
    expect(lost.size).toBe(1);
  });

  it("does an aborted caller's uploads that stay before whatever is next, while their owner wants them", async () => {
    const device = await testDevice();
    const stay = (value: number): Tensor => {
      const t = Tensor.empty(device, [1, 1], "f32", "stays");
      t.writeToStay(new Uint8Array(Float32Array.of(value).buffer));
      return t;
    };
    using a = stay(4);
    const gone = stay(5);
    await expect(device.drain(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    gone.dispose();
    device.trim(); // to its buffer nothing can be uploaded any more
    using y = matmul(a, a);
    await expect(device.drain(AbortSignal.abort(new Error("again")))).rejects.toThrow("again");
    using z = matmul(a, a);
    expect((await z.read())[0]).toBe(16);
    expect(y.size).toBe(1);
  });

  it("has values that were on the host alone when a recording is the first to read them", async () => {
    const device = await testDevice();
    using a = Tensor.fromBytes(device, new Uint8Array(Float32Array.of(3).buffer), [1, 1], "f32");
    const { result, recording } = device.record(() => matmul(a, a));
    expect((await result.read())[0]).toBe(9);
    device.replay(recording);
    expect((await result.read())[0]).toBe(9);
    result.dispose();
    recording.dispose();
  });

  it("reports a shader that does not compile by its label", async () => {
    const device = await testDevice();
    device.dispatch({
      label: "broken kernel",
      code: "fn main( {",
      bindings: [],
      params: [],
      workgroups: [1, 1, 1],
      flops: 0,
      bytes: 0,
    });
    await expect(device.drain()).rejects.toThrow("broken kernel");
  });

  it("profiles by label where the adapter has timestamps", async () => {
    const device = await testDevice();
    if (!device.capabilities.timestamps) return;
    const profiler = device.createProfiler();
    device.profiler = profiler;
    using a = Tensor.from(device, [3], [1, 1], "f32", "a");
    using y = add(a, a, "add probe");
    await y.read();
    device.profiler = undefined;
    expect(profiler.entries).toMatchObject([{ label: "add probe", calls: 1, flops: 1 }]);
  });
});

describe("scopes", () => {
  it("free what is not returned, and hand the rest to the outer scope", () => {
    const device = Device.dry(); // a pool of its own: reused buffers may be larger
    const before = device.memory.used;
    device.scope(() => {
      const kept = device.scope(() => {
        Tensor.empty(device, [100], "f32", "lost");
        return { list: [Tensor.empty(device, [200], "f32", "kept")] };
      });
      expect(device.memory.used - before).toBe(1024);
      expect(kept.list[0]!.size).toBe(200);
    });
    expect(device.memory.used).toBe(before);
  });

  it("free everything when the body throws", async () => {
    const device = await testDevice();
    const before = device.memory.used;
    expect(() =>
      device.scope(() => {
        Tensor.empty(device, [100], "f32");
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(device.memory.used).toBe(before);
  });

  it("refuse an asynchronous body", async () => {
    const device = await testDevice();
    expect(() => device.scope(async () => Promise.resolve())).toThrow("synchronous");
  });
});

describe("memory", () => {
  it("reuses released buffers", () => {
    const device = Device.dry();
    const a = Tensor.empty(device, [1000], "f32");
    a.dispose();
    using b = Tensor.empty(device, [1000], "f32");
    expect(b.bytes).toBe(4000);
    expect(device.memory.reserved).toBe(device.memory.used);
  });

  it("names what is too large for the adapter, and the cure", () => {
    const device = Device.dry({ maxBuffer: 1000, name: "small one" });
    expect(() => Tensor.empty(device, [1000], "f32", "x")).toThrow(
      /x: needs a buffer of 4000 bytes.*small one.*1000.*fewer frames/,
    );
  });

  it("gives everything back on dispose", () => {
    const device = Device.dry();
    Tensor.empty(device, [1000], "f32");
    device.dispose();
    expect(device.memory).toMatchObject({ used: 0, reserved: 0 });
    expect(() => device.upload({ id: 1, bytes: 4, gpu: undefined, label: "" }, new Uint8Array(4))).toThrow("disposed");
  });
});

it("a dry device counts and executes nothing", async () => {
  const device = Device.dry();
  using a = Tensor.empty(device, [64, 32], "f16");
  using y = add(a, a);
  expect(device.counts).toMatchObject({ dispatches: 1, flops: 64 * 32 });
  expect(device.pipelineCount).toBe(1);
  await expect(y.read()).rejects.toThrow("dry run");
});

it("says that the device was lost, and goes on saying so", async () => {
  const gpu = await nodeGPU();
  const adapter = await gpu.requestAdapter();
  const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
  const device = Device.from(raw);
  using a = Tensor.from(device, [1], [1, 1], "f32", "a");
  raw.destroy();
  await raw.lost;
  using y = matmul(a, a);
  for (const _ of [1, 2]) await expect(y.read()).rejects.toThrow(/the GPU device was lost .*start again/);
});
