// A device that runs everything of the host and nothing of the GPU (Dawn's null backend), with GPUs' choice of kernels.
// Shaders are validated, nothing is compiled or computed: all values read back are zero.

import { Device } from "../../src/gpu/device.js";
import { deviceDescriptor, type Capabilities } from "../../src/gpu/limits.js";
import { nodeGPU } from "../../src/node-device.js";

/** A new one; the caller disposes it. `raw` is WebGPU's own. */
export async function nullDevice(
  force: Partial<Capabilities> = {},
): Promise<{ readonly device: Device; readonly raw: GPUDevice }> {
  const adapter = await (await nodeGPU(["backend=null"])).requestAdapter();
  const raw = await adapter!.requestDevice(deviceDescriptor(adapter!));
  const create = raw.createBuffer.bind(raw);
  raw.createBuffer = (d) => {
    const buffer = create(d);
    // GPUBufferUsage.MAP_READ: the backend's memory is what happens to lie there.
    if (d.usage & 0x01) buffer.getMappedRange = () => new ArrayBuffer(d.size);
    return buffer;
  };
  return { device: Device.from(raw, { kind: "gpu", ...force }), raw };
}
