// The control network of a run: one is kept on the device, for the next run most likely asks for it again.

import { loadControl, type ByteSource, type ControlNetwork, type Device, type Folder } from "../../index.js";
import type { ModelChoice, RunEvent } from "./protocol.js";

export class Controls {
  #kept: { readonly key: string; readonly device: Device; readonly network: ControlNetwork } | undefined;

  /** The network stored as `id`, in the precision of the model that it guides. */
  async get(
    device: Device,
    id: string,
    precision: NonNullable<ModelChoice["precision"]>,
    open: () => Promise<Folder | ByteSource>,
    emit: (event: RunEvent) => void,
    signal: AbortSignal,
  ): Promise<ControlNetwork> {
    const key = `${id} ${precision}`;
    if (this.#kept?.key === key && this.#kept.device === device) return this.#kept.network;
    this.dispose();
    const network = await loadControl(device, await open(), {
      precision,
      onProgress: ({ loadedBytes, totalBytes }) =>
        emit({ type: "stage", stage: "load", fraction: loadedBytes / Math.max(1, totalBytes), detail: "control" }),
      signal,
    });
    this.#kept = { key, device, network };
    return network;
  }

  /** Gives its memory back. */
  dispose(): void {
    this.#kept?.network.dispose();
    this.#kept = undefined;
  }
}
