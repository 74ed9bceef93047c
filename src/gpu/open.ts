// Opens a device on an adapter; shared by Node, browsers and tests.

import { Device } from "./device.js";
import { deviceDescriptor, type Capabilities } from "./limits.js";

/** Requests a device with every useful feature and limit from `adapter`. `force` lowers limits (for tests). */
export async function openDevice(adapter: GPUAdapter, force: Partial<Capabilities> = {}): Promise<Device> {
  return Device.from(await adapter.requestDevice(deviceDescriptor(adapter)), force);
}
