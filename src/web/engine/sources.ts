// The files of models by their ids: the bundled model's, beside the page, or of the store.

import type { ByteSource, Folder, ModelSources } from "../../index.js";
import { openStored, readManifest, type Manifest } from "../store/read.js";
import { bundledFolder, bundledLora } from "./bundled.js";
import { BUNDLED, BUNDLED_CONTROL, BUNDLED_LORA, type ModelChoice, type RunRequest } from "./protocol.js";

/** A model's files, opened by their ids. */
export interface OpenedSources extends ModelSources {
  readonly embeddings: readonly { readonly source: ByteSource }[];
  readonly loras: readonly { readonly source: ByteSource; readonly weight: number }[];
}

export class Sources {
  /** Address below which the bundled model lies. */
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  /** The files of a choice. */
  async open(choice: ModelChoice, signal: AbortSignal): Promise<OpenedSources> {
    const loras: OpenedSources["loras"][number][] = [];
    for (const { id, weight } of choice.loras) {
      if (weight === 0 || (id === BUNDLED_LORA && !choice.distilled)) continue;
      const source = id === BUNDLED_LORA ? await bundledLora(this.#base, signal) : await openStored(id);
      if ("list" in source) throw new Error(`${source.name} is a folder; a LoRA is one file`);
      loras.push({ source, weight });
    }
    const motion =
      choice.motion !== undefined
        ? await openStored(choice.motion)
        : choice.model === BUNDLED
          ? bundledFolder(this.#base, choice.distilled ? "motion-lcm" : "motion-teacher", signal)
          : undefined;
    const embeddings: { readonly source: ByteSource }[] = [];
    for (const id of choice.embeddings) {
      const source = await openStored(id);
      if (!("list" in source)) embeddings.push({ source });
    }
    return {
      embeddings,
      model: choice.model === BUNDLED ? bundledFolder(this.#base, "base", signal) : await openStored(choice.model),
      ...(motion && { motion }),
      ...(choice.vae !== undefined && { vae: await openStored(choice.vae) }),
      loras,
    };
  }

  /** The files of what guides a run: the bundled control network, or of the store. */
  async guide(id: string, signal: AbortSignal): Promise<Folder | ByteSource> {
    return id === BUNDLED_CONTROL ? bundledFolder(this.#base, "control-blob", signal) : openStored(id);
  }
}

/** What recipes call the models of a request that are not bundled, by id. */
export async function storedNames({ choice, control, likenesses = [] }: RunRequest): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const id of [
    choice.model,
    choice.motion,
    choice.vae,
    control?.id,
    ...likenesses.flatMap((l) => [l.id, l.encoder]),
    ...choice.loras.map((l) => l.id),
    ...choice.embeddings,
  ])
    if (id !== undefined && !id.startsWith(BUNDLED)) names.set(id, nameOf((await readManifest(id)).manifest));
  return names;
}

/** What the command line understands too, where a model came from the hub. */
function nameOf({ hub, name }: Manifest): string {
  return hub?.name ?? name;
}
