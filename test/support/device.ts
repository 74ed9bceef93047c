// One device per test worker: a software adapter compiles each pipeline anew per process.

import { openDevice } from "../../src/gpu/open.js";
import type { Device } from "../../src/gpu/device.js";
import { NO_ADAPTER, nodeGPU } from "../../src/node-device.js";

let device: Promise<Device> | undefined;

/** The worker's device. `KINEOGRAPH_LIMITS=minimum` gives it the limits that WebGPU guarantees on every adapter, and no more. */
export function testDevice(): Promise<Device> {
  return (device ??= open());
}

async function open(): Promise<Device> {
  const adapter = await (await nodeGPU()).requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error(NO_ADAPTER);
  return openDevice(adapter, {}, process.env["KINEOGRAPH_LIMITS"] === "minimum" ? "minimum" : "adapter");
}
