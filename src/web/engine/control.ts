// What guides a run besides its words: the control network and the IP-Adapters, kept on the device (adapters rest on the host),
// for the next run most likely asks for them again.

import {
  loadControl,
  loadIPAdapter,
  preprocess,
  type AnimateDiffPipeline,
  type ByteSource,
  type ControlNetwork,
  type Device,
  type Folder,
  type GenerateOptions,
  type IPAdapter,
} from "../../index.js";
import { discFrames } from "../state/path.js";
import type { Control, RunEvent, RunRequest } from "./protocol.js";

type Guides = Pick<GenerateOptions, "controls" | "imagePrompts">;
type Pipeline = Pick<AnimateDiffPipeline, "parts">;

/** Opens what an id names. */
type Open = (id: string) => Promise<Folder | ByteSource>;

export class Controls {
  #network: { readonly key: string; readonly device: Device; readonly network: ControlNetwork } | undefined;
  readonly #adapters = new Map<string, IPAdapter>();

  /** The library's options for what a request asks for; what it does not ask for gives its memory back. */
  async guides(
    pipeline: Pipeline,
    { control, likenesses = [], options }: RunRequest,
    how: { readonly open: Open; readonly emit: (event: RunEvent) => void; readonly signal: AbortSignal },
  ): Promise<Guides> {
    this.#keep(pipeline, likenesses.map(keyOf));
    if (!control) this.#dropNetwork();
    const imagePrompts: NonNullable<Guides["imagePrompts"]>[number][] = [];
    for (const { images, scale, start, end, ...which } of likenesses)
      imagePrompts.push({ adapter: await this.#adapter(pipeline, which, how.open), images, scale, start, end });
    return {
      ...(control && {
        controls: [{ network: await this.#get(pipeline, control.id, how), ...controlOf(control, options) }],
      }),
      ...(imagePrompts.length > 0 && { imagePrompts }),
    };
  }

  /** Gives all memory back. */
  dispose(): void {
    this.#dropNetwork();
    for (const adapter of this.#adapters.values()) adapter.dispose();
    this.#adapters.clear();
  }

  #dropNetwork(): void {
    this.#network?.network.dispose();
    this.#network = undefined;
  }

  /** The network stored as `id`, in the precision of the model that it guides. */
  async #get(
    { parts: { device, dtype: precision } }: Pipeline,
    id: string,
    { open, emit, signal }: Parameters<Controls["guides"]>[2],
  ): Promise<ControlNetwork> {
    const key = `${id} ${precision}`;
    if (this.#network?.key === key && this.#network.device === device) return this.#network.network;
    this.#dropNetwork();
    const network = await loadControl(device, await open(id), {
      precision,
      onProgress: ({ loadedBytes, totalBytes }) =>
        emit({ type: "stage", stage: "load", fraction: loadedBytes / Math.max(1, totalBytes), detail: "control" }),
      signal,
    });
    this.#network = { key, device, network };
    return network;
  }

  async #adapter({ parts }: Pipeline, which: { readonly id: string; readonly encoder: string }, open: Open) {
    const there = this.#adapters.get(keyOf(which));
    if (there) return there;
    const adapter = await openAdapter(parts, which, open);
    this.#adapters.set(keyOf(which), adapter);
    return adapter;
  }

  /** Frees adapters that are not wanted, and those made for another model. */
  #keep({ parts }: Pipeline, wanted: readonly string[]): void {
    for (const [key, adapter] of this.#adapters)
      if (!wanted.includes(key) || adapter.unet !== parts.unet) {
        adapter.dispose();
        this.#adapters.delete(key);
      }
  }
}

function keyOf({ id, encoder }: { readonly id: string; readonly encoder: string }): string {
  return `${id} ${encoder}`;
}

async function openAdapter(
  { device, unet, dtype: precision }: Pipeline["parts"],
  { id, encoder }: { readonly id: string; readonly encoder: string },
  open: Open,
): Promise<IPAdapter> {
  const adapter = await open(id);
  const seeing = await open(encoder);
  if ("list" in adapter) throw new Error(`${adapter.name} is a folder; an IP-Adapter is one file`);
  if (!("list" in seeing)) throw new Error(`${seeing.name} is one file; an image encoder is a folder with config.json`);
  return loadIPAdapter(device, unet, { adapter, encoder: seeing, precision });
}

/** A control's pictures with what is said of them. */
function controlOf({ guide, scale, start, end, guess }: Control, size: RunRequest["options"]) {
  const frames =
    guide.kind === "path"
      ? discFrames(guide.points, guide.size, size)
      : guide.made === "as they are"
        ? guide.frames
        : preprocess(guide.frames, { name: guide.made });
  return { frames, ...(guide.kind === "keys" && { at: guide.at }), scale, start, end, guess };
}

/** The same for a plan, on its pipeline's device, where no weights are read. */
export async function plannedGuides(
  pipeline: Pipeline,
  { control, likenesses = [] }: RunRequest,
  open: Open,
  signal: AbortSignal,
): Promise<Guides> {
  const { device, dtype: precision } = pipeline.parts;
  const imagePrompts: NonNullable<Guides["imagePrompts"]>[number][] = [];
  for (const { images, scale, start, end, ...which } of likenesses)
    imagePrompts.push({ adapter: await openAdapter(pipeline.parts, which, open), images, scale, start, end });
  const blank = { width: 8, height: 8, count: 1, rgba: new Uint8Array(8 * 8 * 4) };
  return {
    ...(control && {
      controls: [
        {
          network: await loadControl(device, await open(control.id), { precision, signal }),
          frames: control.guide.kind === "keys" ? control.guide.frames : blank,
          ...(control.guide.kind === "keys" && { at: control.guide.at }),
          scale: control.scale,
          start: control.start,
          end: control.end,
          guess: control.guess,
        },
      ],
    }),
    ...(imagePrompts.length > 0 && { imagePrompts }),
  };
}
