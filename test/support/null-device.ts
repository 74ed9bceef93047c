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

/** Half of the memory that the backend has, and the largest buffer it makes. */
const HALF = 2 ** 28;

/** A new one; the caller disposes it. */
export async function nullDevice(force: Partial<Capabilities> = {}): Promise<NullDevice> {
  const adapter = await (await nodeGPU(["backend=null"])).requestAdapter();
  const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
  const create = raw.createBuffer.bind(raw);
  const alive = new Map<GPUBuffer, number>();
  let created = 0;
  let most = Infinity;
  const aliveBytes = () => [...alive.values()].reduce((n, b) => n + b, 0);
  let ballast: readonly GPUBuffer[] = [];
  raw.createBuffer = (d) => {
    // Beside the ballast there is no room for the other half: the backend refuses it, and takes no memory for it.
    const buffer = create(aliveBytes() + d.size > most ? { ...d, size: HALF } : d);
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
    limit: (bytes) => {
      if (ballast.length === 0) ballast = [HALF, 256].map((size) => create({ size, usage: 0x80 })); // GPUBufferUsage.STORAGE
      most = bytes;
    },
  };
}
