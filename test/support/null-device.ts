// A device that runs everything of the host and nothing of the GPU (Dawn's null backend), with GPUs' choice of kernels.
// Shaders are validated, nothing is compiled or computed: all values read back are zero.

import { Device } from "../../src/gpu/device.js";
import { deviceDescriptor, type Capabilities } from "../../src/gpu/limits.js";
import { nodeGPU } from "../../src/node-device.js";

/** GPU buffers made so far, and those of them that were not destroyed yet. */
export interface BufferCounts {
  readonly created: number;
  readonly alive: number;
  readonly aliveBytes: number;
}

export interface NullDevice {
  readonly device: Device;
  /** What was made so far. */
  readonly buffers: () => BufferCounts;
  /** From now on there is memory for so many bytes in all. */
  readonly limit: (bytes: number) => void;
}

/** Sizes that together take all of the backend's 512 MiB. */
const ALL = Array.from({ length: 27 }, (_, i) => 2 ** (28 - i));

/** A new one; the caller disposes it. */
export async function nullDevice(force: Partial<Capabilities> = {}): Promise<NullDevice> {
  const adapter = await (await nodeGPU(["backend=null"])).requestAdapter();
  const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
  const create = raw.createBuffer.bind(raw);
  const alive = new Map<GPUBuffer, number>();
  let created = 0;
  let most = Infinity;
  const aliveBytes = () => [...alive.values()].reduce((n, b) => n + b, 0);
  const takeAll = () => {
    raw.pushErrorScope("out-of-memory");
    const taken = ALL.flatMap((size) => [1, 2].map(() => create({ size, usage: 0x80 }))); // GPUBufferUsage.STORAGE
    void raw.popErrorScope();
    return taken;
  };
  raw.createBuffer = (d) => {
    const taken = aliveBytes() + d.size > most ? takeAll() : [];
    const buffer = create(d);
    for (const b of taken) b.destroy();
    const destroy = buffer.destroy.bind(buffer);
    created++;
    alive.set(buffer, d.size);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy();
    };
    // GPUBufferUsage.MAP_READ: the backend's memory is what happens to lie there.
    if (d.usage & 0x01) buffer.getMappedRange = (_, size = d.size) => new ArrayBuffer(size);
    return buffer;
  };
  return {
    device: Device.from(raw, { kind: "gpu", ...force }),
    buffers: () => ({ created, alive: alive.size, aliveBytes: aliveBytes() }),
    limit: (bytes) => (most = bytes),
  };
}
