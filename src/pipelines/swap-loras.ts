// Other LoRAs on a loaded model: what the old ones or the new ones change is read again from the model's files and merged
// anew, so that a LoRA taken away leaves the very bits there were before. Nothing is subtracted; nothing else is loaded.

import type { Device } from "../gpu/device.js";
import type { WeightStore } from "../nn/weights.js";
import { openLoras, type LoraInfo, type Loras, type LoraSource } from "./loras.js";
import type { ModelFiles } from "./model-files.js";

type Network = "text" | "unet" | "vae";
const NETWORKS: readonly Network[] = ["text", "unet"];

export interface SwapOptions {
  readonly onProgress?: (p: { readonly loadedBytes: number; readonly totalBytes: number }) => void;
  readonly signal?: AbortSignal;
}

/** The LoRAs of a loaded model. */
export class LoraStack {
  readonly #device: Device;
  readonly #files: ModelFiles;
  readonly #stores: Readonly<Record<Network, WeightStore>>;
  /** Weights that are not the base's, or may not be. */
  readonly #touched: Readonly<Record<Network, Set<string>>>;
  #info: readonly LoraInfo[];
  #state: "whole" | "changing" | "mixed" = "whole";

  /** `first` is merged already. */
  constructor(device: Device, files: ModelFiles, stores: Readonly<Record<Network, WeightStore>>, first: Loras) {
    this.#device = device;
    this.#files = files;
    this.#stores = stores;
    this.#info = first.info;
    this.#touched = { text: new Set(first.changed("text")), unet: new Set(first.changed("unet")), vae: new Set() };
  }

  /**
   * Whether the weights are of one stack; `changing` while another is opened and merged, `mixed` where that did not come to
   * its end.
   */
  get state(): "whole" | "changing" | "mixed" {
    return this.#state;
  }

  /** What is merged. */
  get info(): readonly LoraInfo[] {
    return this.#info;
  }

  /**
   * Replaces the stack. The model's files must still be there, unchanged. Where it fails or is cancelled after weights have
   * begun to change, those of both stacks are mixed until it is called again.
   * @throws Error while another call is going on
   */
  async set(loras: readonly LoraSource[], options: SwapOptions = {}): Promise<readonly LoraInfo[]> {
    const before = this.#state;
    if (before === "changing") throw new Error("setLoras: another change of LoRAs is going on; wait for its end");
    this.#state = "changing";
    let changed = false;
    try {
      const info = await this.#replace(loras, options, () => (changed = true));
      this.#state = "whole";
      return info;
    } catch (error) {
      this.#state = changed ? "mixed" : before;
      throw error;
    }
  }

  async #replace(
    loras: readonly LoraSource[],
    { onProgress, signal }: SwapOptions,
    onChange: () => void,
  ): Promise<readonly LoraInfo[]> {
    const next = await openLoras(this.#device, loras, this.#stores);
    try {
      const only = (n: Network) => new Set([...this.#touched[n], ...next.changed(n)]);
      const totalBytes = NETWORKS.reduce((sum, n) => sum + this.#stores[n].bytesIn(this.#files.weights[n], only(n)), 0);
      let done = 0;
      for (const network of NETWORKS) {
        const store = this.#stores[network];
        const source = this.#files.weights[network];
        const names = only(network);
        if (names.size === 0) continue;
        for (const name of names) this.#touched[network].add(name);
        onChange();
        await store.load(source, {
          only: names,
          patch: next.patch(network),
          onProgress: (p) => onProgress?.({ loadedBytes: done + p.loadedBytes, totalBytes }),
          ...(signal && { signal }),
        });
        await store.rest();
        done += store.bytesIn(source, names);
      }
      for (const network of NETWORKS) {
        this.#touched[network].clear();
        for (const name of next.changed(network)) this.#touched[network].add(name);
      }
      this.#info = next.info;
      return next.info;
    } finally {
      await next.close();
      await this.#files.close();
    }
  }
}
