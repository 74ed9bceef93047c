// A device that offers less than it has, to test how kernels slice their work.

import type { Device } from "../../src/gpu/device.js";
import type { Capabilities } from "../../src/gpu/limits.js";

/** Runs `body` while `device` states other capabilities. */
export function withLimits<R>(device: Device, limits: Partial<Capabilities>, body: () => R): R {
  const own = device.capabilities;
  Object.assign(device, { capabilities: { ...own, ...limits } });
  try {
    return body();
  } finally {
    Object.assign(device, { capabilities: own });
  }
}
