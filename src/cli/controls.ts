// The pictures that guide a run, from the command line to the pipeline: networks loaded once a session, frames read at the
// run's size.

import type { Device } from "../gpu/device.js";
import type { Clip } from "../io/frames.js";
import { preprocess } from "../io/preprocess.js";
import { sampleVideo, type VideoSource } from "../io/video.js";
import { openVideo } from "../io/video-file.js";
import { loadControl, type ControlNetwork } from "../pipelines/control/network.js";
import type { AnimateDiffPipeline } from "../pipelines/animatediff.js";
import { loadIPAdapter, type IPAdapter } from "../pipelines/control/ip-adapter.js";
import type { ControlInputs } from "../pipelines/control/conditions.js";
import type { GenerateOptions } from "../pipelines/options.js";
import type { PlannedControl } from "../pipelines/plan.js";
import { UsageError } from "./failure.js";
import { bytes, elapsed } from "./format.js";
import { interruptible } from "./interrupt.js";
import { Terminal } from "./terminal.js";
import type { ControlArgument, ControlArguments } from "./options-control.js";
import { ipArguments, type IpArgument } from "./options-ip.js";
import { checkRegions, regionInputs, type RegionArguments } from "./options-region.js";
import { firstPicture, openChecked } from "./pictures.js";
import { openFileOf, openFolderOf, openPath, type Fetching } from "./sources.js";

/** Networks of a session, loaded when a run first asks for them. */
export class ControlNetworks implements Disposable {
  readonly #device: Device;
  readonly #precision: "f32" | "f16";
  readonly #fetching: Fetching;
  readonly #loaded = new Map<string, ControlNetwork>();
  readonly #adapters = new Map<string, IPAdapter>();

  constructor(device: Device, precision: "f32" | "f16", fetching: Fetching) {
    this.#device = device;
    this.#precision = precision;
    this.#fetching = fetching;
  }

  async get(path: string): Promise<ControlNetwork> {
    const there = this.#loaded.get(path);
    if (there) return there;
    const { terminal, signal } = this.#fetching;
    const start = performance.now();
    const network = await loadControl(this.#device, await openPath(path, "--control", this.#fetching), {
      precision: this.#precision,
      onProgress: ({ loadedBytes, totalBytes }) =>
        terminal.progress("control", loadedBytes / totalBytes, bytes(totalBytes)),
      signal,
    });
    this.#loaded.set(path, network);
    terminal.done("control", elapsed(start), `${bytes(network.weightBytes)} of weights`);
    return network;
  }

  /** The IP-Adapter of a run, for this pipeline's UNet. */
  async adapter(pipeline: AnimateDiffPipeline, path: string, encoder: string): Promise<IPAdapter> {
    const key = keyOf(path, encoder);
    const there = this.#adapters.get(key);
    if (there) return there;
    const { terminal } = this.#fetching;
    const start = performance.now();
    const source = await openFileOf(path, "--ip-adapter", this.#fetching);
    try {
      const adapter = await loadIPAdapter(this.#device, pipeline.parts.unet, {
        adapter: source,
        encoder: await openFolderOf(encoder, "--ip-encoder", this.#fetching),
        precision: this.#precision,
      });
      this.#adapters.set(key, adapter);
      terminal.done("adapter", elapsed(start), adapter.name);
      return adapter;
    } finally {
      await source.close();
    }
  }

  /** Frees what a run does not want: networks of the jobs before it. */
  keep(models: readonly string[], adapters: readonly IpArgument[]): void {
    const wanted = new Set(adapters.map((p) => keyOf(p.adapter, p.encoder)));
    for (const [key, adapter] of this.#adapters)
      if (!wanted.has(key)) {
        adapter.dispose();
        this.#adapters.delete(key);
      }
    for (const [path, network] of this.#loaded)
      if (!models.includes(path)) {
        network.dispose();
        this.#loaded.delete(path);
      }
  }

  [Symbol.dispose](): void {
    for (const adapter of this.#adapters.values()) adapter.dispose();
    this.#adapters.clear();
    for (const network of this.#loaded.values()) network.dispose();
    this.#loaded.clear();
  }
}

function keyOf(adapter: string, encoder: string): string {
  return `${adapter} with ${encoder}`;
}

/** Opens every picture, so that what cannot be read is said before minutes of work. */
export async function checkControls(a: ControlArguments & RegionArguments): Promise<void> {
  await checkRegions(a);
  if (a.controlGuess === true && !a.control) throw new UsageError("--control-guess has no effect without --control");
  if (a.image === undefined && (a.motionScale !== undefined || a.colourMatch === false))
    throw new UsageError(
      `${a.motionScale === undefined ? "--no-colour-match" : "--motion-scale"} belongs to image to video and has no effect without --image`,
    );
  for (const path of [a.image ?? [], ipArguments(a).flatMap((p) => p.images)].flat()) await openChecked(path);
  for (const c of a.control ?? [])
    for (const path of c.paths) {
      const { count = Infinity } = (await openChecked(path)).info;
      if (count < wanted(c)) throw tooFew(c, path, count);
    }
}

/** Pictures that each file of a --control must have: where frames are named, one for each of them. */
function wanted({ paths, at }: ControlArgument): number {
  return at && paths.length === 1 ? at.length : 1;
}

function tooFew(c: ControlArgument, path: string, count: number): UsageError {
  return new UsageError(
    `--control ${c.text}: ${path} has ${count === 1 ? "one picture" : `${count} pictures`}, but ${wanted(c)} frames are named`,
  );
}

/** The pipeline's inputs for a run of this size. */
export async function controlInputs(
  a: ControlArguments & RegionArguments & { readonly fps: number },
  run: { readonly width: number; readonly height: number; readonly frames: number },
  networks: ControlNetworks,
  pipeline: AnimateDiffPipeline,
  { terminal, signal }: Fetching,
): Promise<ControlInputs> {
  const prompts = ipArguments(a);
  networks.keep(
    (a.control ?? []).map((c) => c.model),
    prompts,
  );
  const controls: NonNullable<ControlInputs["controls"]>[number][] = [];
  let guessing = false;
  for (const c of a.control ?? []) {
    const network = await networks.get(c.model);
    const read = c.at ? await given(c, run, signal) : await moving(c, a.fps, run, signal);
    for (const note of read.notes) terminal.warn(note);
    const frames = c.preprocess.reduce<Clip>(preprocess, read.clip);
    controls.push({
      network,
      frames,
      ...(c.at && { at: c.at }),
      scale: c.scale,
      start: c.start,
      end: c.end,
      guess: a.controlGuess === true && network.kind === "controlnet",
    });
    guessing ||= network.kind === "controlnet";
  }
  if (a.controlGuess === true && !guessing)
    throw new UsageError("--control-guess is ControlNet's, and none of --control is one");
  const one = (path: string) => firstPicture(path, (text) => terminal.warn(text), signal);
  const imagePrompts: NonNullable<ControlInputs["imagePrompts"]>[number][] = [];
  for (const { adapter, encoder, images: paths, ...rest } of prompts) {
    const images: Clip[] = [];
    for (const path of paths) images.push(await one(path));
    imagePrompts.push({ ...rest, adapter: await networks.adapter(pipeline, adapter, encoder), images });
  }
  return {
    ...(await regionInputs(a, run, signal)),
    ...(controls.length > 0 && { controls }),
    ...(imagePrompts.length > 0 && { imagePrompts }),
    ...(a.image !== undefined && { image: await one(a.image) }),
    ...(a.motionScale !== undefined && { motionScale: a.motionScale }),
    ...(a.colourMatch === false && { colourMatch: false }),
  };
}

/** The same for a plan: networks of the files' headers on the plan's device. Undefined where nothing guides the run. */
export function plannedControl(
  a: ControlArguments & RegionArguments & { readonly fps: number },
  options: GenerateOptions,
): PlannedControl | undefined {
  if (!a.control && a.image === undefined && !a.ipAdapter && !a.region) return undefined;
  return {
    encoder: a.control !== undefined || a.image !== undefined,
    inputs: (pipeline) =>
      interruptible((signal) => {
        const { device, dtype } = pipeline.parts;
        // The run itself says what there is to say about its pictures.
        const silent = new Terminal({ quiet: true, stream: { write: () => undefined } });
        const fetching = { terminal: silent, signal, half: dtype === "f16" };
        const networks = new ControlNetworks(device, dtype, fetching);
        return controlInputs(a, pipeline.settle(options), networks, pipeline, fetching);
      }),
  };
}

type Size = { readonly width: number; readonly height: number };

/** A picture for every frame, or one for all. */
async function moving(
  { paths }: ControlArgument,
  fps: number,
  { width, height, frames }: Size & { readonly frames: number },
  signal: AbortSignal,
): Promise<{ clip: Clip; notes: readonly string[] }> {
  const source = await openVideo(paths[0]!);
  const still = source.info.count === 1;
  const clip = await sampleVideo(source, { fps, frames: still ? 1 : frames, width, height, signal });
  return { clip, notes: clip.notes };
}

/** A picture for every chosen frame: the first frames of what the paths hold. */
async function given(
  c: ControlArgument,
  { width, height }: Size,
  signal: AbortSignal,
): Promise<{ clip: Clip; notes: readonly string[] }> {
  const parts: Uint8Array[] = [];
  const want = wanted(c);
  for (const path of c.paths) {
    const clip = await sampleVideo(withoutTimes(await openVideo(path)), {
      fps: 1,
      frames: want,
      width,
      height,
      signal,
    });
    if (clip.available < want) throw tooFew(c, path, clip.available);
    parts.push(clip.rgba);
  }
  const rgba = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let offset = 0;
  for (const part of parts) {
    rgba.set(part, offset);
    offset += part.length;
  }
  return { clip: { width, height, count: rgba.length / (width * height * 4), rgba }, notes: [] };
}

/** Its pictures one for one, however long each shows. */
function withoutTimes(source: VideoSource): VideoSource {
  const { seconds: _, ...info } = source.info;
  return {
    info,
    async *pictures(need) {
      for await (const { picture } of source.pictures(need)) yield { picture, seconds: undefined };
    },
  };
}
