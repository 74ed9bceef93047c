// A loaded model in the command line's hands: its kernels chosen, its files opened or downloaded, its warnings shown.

import type { Device } from "../gpu/device.js";
import { loadPipeline, type LoadedPipeline, type LoadOptions } from "../pipelines/load.js";
import { ControlNetworks } from "./controls.js";
import { bytes, elapsed, transfer } from "./format.js";
import { generateOptions, type RunArguments } from "./options.js";
import { storageOf } from "./options-memory.js";
import { readsPictures } from "./pictures.js";
import { modelPaths, openFileOf, openFolderOf, openPath, type Fetching, type ModelPaths } from "./sources.js";
import type { Terminal } from "./terminal.js";
import { tuneFor } from "./tuning.js";

/** A model that is loaded, for one run after another. */
export interface Session extends LoadedPipeline, Disposable {
  readonly device: Device;
  readonly paths: ModelPaths;
  /** Seconds that loading took. */
  readonly seconds: number;
  readonly controls: ControlNetworks;
}

/** Chooses the kernels of a run and loads its model; `encoder`: with the VAE's, for this run or others of the session. */
export async function openSession(
  device: Device,
  a: RunArguments,
  terminal: Terminal,
  signal: AbortSignal,
  encoder = readsPictures(a),
): Promise<Session> {
  await tuneFor(device, a, terminal, signal);
  const start = performance.now();
  const paths = modelPaths(a);
  const { pipeline, info } = await load(device, paths, a, encoder, terminal, signal);
  for (const warning of info.warnings) terminal.warn(warning);
  const time = elapsed(start);
  terminal.done("load", time, `${bytes(info.weightBytes)} of weights`);
  const precision = precisionOf(a, device);
  const controls = new ControlNetworks(device, precision, { terminal, signal, half: precision === "f16" });
  const dispose = () => {
    controls[Symbol.dispose]();
    pipeline.dispose();
  };
  return { device, paths, pipeline, info, seconds: time, controls, [Symbol.dispose]: dispose };
}

/** Storage of weights and activations: what was asked for, else f16 where the adapter has it. */
export function precisionOf(a: RunArguments, device: Device): "f32" | "f16" {
  return a.precision ?? (device.capabilities.f16 ? "f16" : "f32");
}

async function load(
  device: Device,
  paths: ModelPaths,
  a: RunArguments,
  encoder: boolean,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<LoadedPipeline> {
  const opened: { close?(): Promise<void> }[] = [];
  const fetching: Fetching = { terminal, signal, half: precisionOf(a, device) === "f16" };
  const keep = <T extends object>(source: T): T => {
    opened.push(source);
    return source;
  };
  try {
    const loras: NonNullable<LoadOptions["loras"]>[number][] = [];
    for (const { path, weight } of paths.loras)
      loras.push({ source: keep(await openFileOf(path, "--lora", fetching)), weight });
    const embeddings: NonNullable<LoadOptions["embeddings"]>[number][] = [];
    for (const { path, name } of a.embedding ?? [])
      embeddings.push({ source: keep(await openFileOf(path, "--embedding", fetching)), name });
    let start: number | undefined; // after what had to be downloaded
    return await loadPipeline(device, {
      model: keep(await openPath(paths.model, "--model", fetching)),
      ...(paths.motion !== undefined && { motion: keep(await openPath(paths.motion, "--motion", fetching)) }),
      ...(paths.vae !== undefined && { vae: keep(await openPath(paths.vae, "--vae", fetching)) }),
      ...(paths.tokenizer !== undefined && { tokenizer: await openFolderOf(paths.tokenizer, "--tokenizer", fetching) }),
      ...(a.motionNorm !== undefined && { motionNorm: a.motionNorm }),
      loras,
      embeddings,
      encoder,
      animates: a.image !== undefined,
      precision: precisionOf(a, device),
      ...storageOf(a, precisionOf(a, device)),
      firstRun: generateOptions("", a),
      onProgress: ({ stage, loadedBytes, totalBytes }) => {
        start ??= performance.now();
        const note = `${stage}, ${transfer(loadedBytes, totalBytes, start)}`;
        terminal.progress("load", totalBytes === 0 ? 1 : loadedBytes / totalBytes, note);
      },
      signal,
    });
  } finally {
    for (const source of opened) await source.close?.();
  }
}
