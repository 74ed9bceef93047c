// Opens a device on an adapter; shared by Node, browsers and tests.

import { Device } from "./device.js";
import { deviceDescriptor, type Capabilities } from "./limits.js";

/**
 * Requests a device with every useful feature from `adapter`, and with all that its limits allow, or ("minimum", for tests)
 * with the limits that WebGPU guarantees everywhere. `force` states lower capabilities than the device has (for tests).
 */
export async function openDevice(
  adapter: GPUAdapter,
  force: Partial<Capabilities> = {},
  limits: "adapter" | "minimum" = "adapter",
): Promise<Device> {
  return Device.from(await adapter.requestDevice(deviceDescriptor(adapter, limits)), force);
}
