// One device per test worker: a software adapter compiles each pipeline anew per process.

import { openDevice } from "../../src/gpu/open.js";
import type { Device } from "../../src/gpu/device.js";
import { NO_ADAPTER, nodeGPU } from "../../src/node-device.js";

let device: Promise<Device> | undefined;

/** `KINEOGRAPH_LIMITS=minimum`: devices have the limits that WebGPU guarantees on every adapter, and no more. */
export const MINIMUM = process.env["KINEOGRAPH_LIMITS"] === "minimum";

/** The worker's device. */
export function testDevice(): Promise<Device> {
  return (device ??= open());
}

async function open(): Promise<Device> {
  const adapter = await (await nodeGPU()).requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error(NO_ADAPTER);
  return openDevice(adapter, {}, MINIMUM ? "minimum" : "adapter");
}
