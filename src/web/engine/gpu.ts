// The browser's adapter and device, and in words why there is none.

import { Device, deviceDescriptor } from "../../index.js";
import type { GpuInfo } from "./protocol.js";

/** An error with a name by which the page chooses its help. */
function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

/** A device with the handle by which it can be given back at once. */
export interface OpenedDevice {
  readonly device: Device;
  readonly info: GpuInfo;
  readonly gpu: GPUDevice;
}

/** @throws Error named NoWebGPU (the browser has none) or NoAdapter (it has, but gives no adapter). */
export async function openGpu(): Promise<OpenedDevice> {
  const gpu = (navigator as { gpu?: GPU }).gpu;
  if (!gpu) throw named("NoWebGPU", "this browser offers no WebGPU");
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw named("NoAdapter", "this browser has WebGPU, but gives no graphics adapter");
  const handle = await adapter.requestDevice(deviceDescriptor(adapter));
  const device = Device.from(handle, {}, undefined, adapter.info);
  const { name, kind, f16, timestamps, maxBuffer, maxBinding } = device.capabilities;
  return { device, gpu: handle, info: { name, kind, f16, timestamps, maxBuffer, maxBinding } };
}
