// A device in Node through Dawn (the npm package `webgpu`, an optional peer).

import { accessSync, constants, existsSync } from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { dirname, join } from "node:path";
import { openDevice } from "./gpu/open.js";
import type { Device } from "./gpu/device.js";
import type { Elsewhere } from "./gpu/forerunners.js";
import { deviceDescriptor, type Capabilities } from "./gpu/limits.js";

// One WebGPU per set of flags, kept for as long as the process lives: dropping the object that create() returns crashes
// later. Mesa's llvmpipe never gives an instance's memory back to the system, but the instance's next device gets it again.
const instances = new Map<string, GPU>();

/** What is always asked of Dawn, by its two lists of switches; given a list twice, it passes over the first. */
const ALWAYS: Readonly<Record<string, readonly string[]>> = {
  /** Dawn rounds timestamps to 65 µs, longer than many kernels take, against attacks that pages could try. */
  "disable-dawn-features=": ["timestamp_quantization"],
  /**
   * What Dawn has and does not offer unasked: tensor cores, and f16 on NVIDIA's GPUs under Linux, which it holds back because
   * some of its conformance tests fail there (crbug.com/42251215); ours pass on an H200, and onnxruntime asks for it too.
   */
  "enable-dawn-features=": ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"],
};

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
  const lists = Object.entries(ALWAYS);
  const all = [
    ...flags.filter((f) => !lists.some(([list]) => f.startsWith(list))),
    ...lists.map(([list, always]) => {
      const asked = flags.filter((f) => f.startsWith(list)).map((f) => f.slice(list.length));
      return list + [...always, ...asked].join(",");
    }),
  ];
  const key = all.join("\n");
  const gpu = instances.get(key) ?? dawn.create(all);
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
  const request = async (flags: readonly string[]) => {
    const chosen = options.adapter === undefined ? [] : [`adapter=${options.adapter}`];
    const gpu = await nodeGPU([...chosen, ...flags]);
    const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new Error(NO_ADAPTER);
    return adapter;
  };
  const adapter = await request([]);
  return openDevice(adapter, options.force, "adapter", elsewhere(adapter, request));
}

/** Devices that compile at a time what is to come. */
const MOST_ELSEWHERE = 4;

/**
 * Where to compile ahead for `adapter`: Mesa's llvmpipe leaves it to the first dispatch, and shares what was compiled
 * through its cache on the disk. Undefined for other adapters, and without that cache. `request` asks for the adapter once
 * more, of a Dawn with more flags.
 */
export function elsewhere(
  { info }: GPUAdapter,
  request: (flags: readonly string[]) => Promise<GPUAdapter>,
): Elsewhere | undefined {
  if (!/llvmpipe/i.test(`${info.device} ${info.description}`) || !keepsShaders()) return undefined;
  return {
    count: Math.min(MOST_ELSEWHERE, availableParallelism()),
    open: async () => {
      const adapter = await request(["enable-dawn-features=skip_validation"]);
      return adapter.requestDevice(deviceDescriptor(adapter));
    },
  };
}

/** Whether Mesa keeps compiled shaders on this machine: not told otherwise, and with a folder that can be written. */
function keepsShaders(): boolean {
  const { MESA_SHADER_CACHE_DISABLE: disabled = "", MESA_SHADER_CACHE_DIR, XDG_CACHE_HOME } = process.env;
  if (/^(1|true|yes|y|t)$/i.test(disabled)) return false;
  let folder = MESA_SHADER_CACHE_DIR ?? XDG_CACHE_HOME ?? join(homedir(), ".cache");
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
