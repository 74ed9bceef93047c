// One device per test worker: a software adapter compiles each pipeline anew per process.

import type { Device } from "../../src/gpu/device.js";
import { openNodeDevice } from "../../src/node-device.js";

let device: Promise<Device> | undefined;

/** The worker's device. */
export function testDevice(): Promise<Device> {
  return (device ??= openNodeDevice());
}
