// The engine's worker from the page's side: which adapter there is, which model is loaded, and what went wrong.

import { computed, signal } from "@preact/signals";
import type { EngineCalls, GpuInfo, ModelFacts } from "../engine/protocol.js";
import { Client } from "../rpc.js";

export type Gpu =
  | { readonly state: "starting" }
  | { readonly state: "ready"; readonly info: GpuInfo }
  /** `name`: NoWebGPU, NoAdapter, or the browser's own. */
  | { readonly state: "missing"; readonly name: string; readonly message: string };

export const gpu = signal<Gpu>({ state: "starting" });
export const facts = signal<ModelFacts | undefined>(undefined);
export const ready = computed(() => gpu.value.state === "ready");

export const engine = new Client<EngineCalls>(
  () => new Worker(new URL("../engine/worker.ts", import.meta.url), { type: "module", name: document.baseURI }),
);

/** Opens the adapter and tells the page what it is. */
export async function openGpu(): Promise<void> {
  try {
    gpu.value = { state: "ready", info: await engine.call("device", undefined) };
  } catch (error) {
    const { name, message } = error as Error;
    gpu.value = { state: "missing", name, message };
  }
}
