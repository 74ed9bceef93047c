// The adapters of this machine, and a device on the one that the user chose.

import { openDevice } from "../gpu/open.js";
import type { Device } from "../gpu/device.js";
import { elsewhere, NO_ADAPTER, nodeGPU } from "../node-device.js";
import { captureNativeLog, forward } from "./native-log.js";
import { UsageError } from "./failure.js";

/** What Dawn calls an adapter. */
export interface AdapterName {
  readonly backend: string;
  readonly name: string;
}

/** Every adapter that Dawn finds, the fastest first. */
export async function listAdapters(): Promise<AdapterName[]> {
  // Asked for an adapter that does not exist, Dawn names those that do; there is no other way to list them.
  const gpu = await nodeGPU(["adapter=\u0001"]);
  const { result } = captureNativeLog(() => gpu.requestAdapter({ powerPreference: "high-performance" }));
  const answer = await result.then(
    () => "",
    (error: Error) => error.message,
  );
  return [...answer.matchAll(/backend: '([^']*)', name: '(.*)'$/gm)].map(([, backend, name]) => ({
    backend: backend!,
    name: name!,
  }));
}

/** An adapter of the machine by its place in `listAdapters()`, of a Dawn with more `flags`. */
export async function requestAdapter(
  { backend, name }: AdapterName,
  flags: readonly string[] = [],
): Promise<GPUAdapter> {
  const gpu = await nodeGPU([`backend=${backend}`, `adapter=${name}`, ...flags]);
  const { result, lines } = captureNativeLog(() => gpu.requestAdapter({ powerPreference: "high-performance" }));
  const adapter = await result;
  forward(lines);
  if (!adapter) throw new Error(NO_ADAPTER);
  return adapter;
}

/** The adapter that `--device <n|name>` means, by default the fastest. @throws UsageError naming those there are */
export async function chooseAdapter(choice?: string): Promise<AdapterName> {
  const all = await listAdapters();
  if (all.length === 0) throw new Error(NO_ADAPTER);
  const wanted = choice?.toLowerCase() ?? "0";
  const chosen = /^\d+$/.test(wanted)
    ? all[Number(wanted)]
    : all.find(({ name }) => name.toLowerCase().includes(wanted));
  if (chosen) return chosen;
  const names = all.map(({ name, backend }, i) => `  ${i}  ${name} (${backend})`);
  throw new UsageError(`--device ${choice}: no such adapter; this machine has\n${names.join("\n")}`);
}

/** A device on the adapter that `--device` means. */
export async function openAdapter(choice?: string): Promise<Device> {
  const chosen = await chooseAdapter(choice);
  const adapter = await requestAdapter(chosen);
  return openDevice(
    adapter,
    { name: chosen.name },
    "adapter",
    elsewhere(adapter, (flags) => requestAdapter(chosen, flags)),
  );
}
