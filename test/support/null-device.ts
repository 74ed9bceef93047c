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

/** A new one; the caller disposes it. `buffers` counts what it makes. */
export async function nullDevice(
  force: Partial<Capabilities> = {},
): Promise<{ readonly device: Device; readonly buffers: () => BufferCounts }> {
  const adapter = await (await nodeGPU(["backend=null"])).requestAdapter();
  const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
  const create = raw.createBuffer.bind(raw);
  const alive = new Map<GPUBuffer, number>();
  let created = 0;
  raw.createBuffer = (d) => {
    const buffer = create(d);
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
  const buffers = () => ({ created, alive: alive.size, aliveBytes: [...alive.values()].reduce((n, b) => n + b, 0) });
  return { device: Device.from(raw, { kind: "gpu", ...force }), buffers };
}
