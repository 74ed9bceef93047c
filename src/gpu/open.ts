// Opens a device on an adapter; shared by Node, browsers and tests.

import { Device } from "./device.js";
import type { Elsewhere } from "./forerunners.js";
import { deviceDescriptor, type Capabilities } from "./limits.js";

/**
 * Requests a device with every useful feature from `adapter`, and with all that its limits allow, or ("minimum", for tests)
 * with the limits that WebGPU guarantees everywhere. `force` states lower capabilities than the device has (for tests);
 * `elsewhere` is where shaders to come are compiled, for drivers that leave it to the first dispatch.
 */
export async function openDevice(
  adapter: GPUAdapter,
  force: Partial<Capabilities> = {},
  limits: "adapter" | "minimum" = "adapter",
  elsewhere?: Elsewhere,
): Promise<Device> {
  return Device.from(await adapter.requestDevice(deviceDescriptor(adapter, limits)), force, elsewhere, adapter.info);
}
