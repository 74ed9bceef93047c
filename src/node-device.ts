// A device in Node through Dawn (the npm package `webgpu`, an optional peer).

import { openDevice } from "./gpu/open.js";
import type { Device } from "./gpu/device.js";
import type { Capabilities } from "./gpu/limits.js";

// One WebGPU per set of flags, kept for as long as the process lives: dropping the object that create() returns crashes
// later. Mesa's llvmpipe never gives an instance's memory back to the system, but the instance's next device gets it again.
const instances = new Map<string, GPU>();

/** WebGPU in Node. `flags` are Dawn's ("backend=null", "adapter=…", "enable-dawn-features=…"). */
export async function nodeGPU(flags: readonly string[] = []): Promise<GPU> {
  process.env["XDG_RUNTIME_DIR"] ??= "/tmp"; // Mesa complains on stderr without it
  let dawn: typeof import("webgpu");
  try {
    dawn = await import("webgpu");
  } catch (cause) {
    throw new Error("WebGPU in Node wants the package `webgpu` (Dawn): npm install webgpu", { cause });
  }
  Object.assign(globalThis, dawn.globals);
  const key = flags.join("\n");
  const gpu = instances.get(key) ?? dawn.create([...flags]);
  instances.set(key, gpu);
  return gpu;
}

/** The message where there is no adapter: what is missing and how to get it. */
export const NO_ADAPTER =
  "no WebGPU adapter: this machine has no Vulkan, Metal or D3D12 driver that Dawn accepts. " +
  "Debian 12: apt-get install -t bookworm-backports mesa-vulkan-drivers (12's own Mesa is too old); " +
  "later Debian and Ubuntu: apt-get install mesa-vulkan-drivers. `npm run demo` and `npm test` do this by themselves as root.";

/** A device on the best adapter, or on the one whose name contains `adapter`. @throws Error where there is none */
export async function openNodeDevice(
  options: { adapter?: string; force?: Partial<Capabilities> } = {},
): Promise<Device> {
  const gpu = await nodeGPU(options.adapter === undefined ? [] : [`adapter=${options.adapter}`]);
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error(NO_ADAPTER);
  return openDevice(adapter, options.force);
}
