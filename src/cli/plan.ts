// kineograph plan: what a run takes in memory and arithmetic, told without running it.

import { totalmem } from "node:os";
import { TYPICAL, type Capabilities } from "../gpu/limits.js";
import type { ModelStorage } from "../pipelines/build.js";
import type { ModelSources } from "../pipelines/model-files.js";
import { planPipeline, type Plan } from "../pipelines/plan.js";
import { openAdapter } from "./adapters.js";
import { UsageError } from "./failure.js";
import { bytes, count, table } from "./format.js";
import { interruptible } from "./interrupt.js";
import { generateOptions, type RunArguments } from "./options.js";
import { storageOf } from "./options-memory.js";
import { openInitVideo, plannedVideo, videoOptions } from "./options-video.js";
import { modelPaths, openPath } from "./sources.js";
import { Terminal } from "./terminal.js";

export async function plan(a: RunArguments): Promise<void> {
  for (const [option, given] of [
    ["--control", a.control],
    ["--image", a.image],
  ] as const)
    if (given !== undefined)
      throw new UsageError(`plan does not count what ${option} adds; leave it out for the run without it`);
  const capabilities = await adapterOrTypical(a.device);
  const precision = a.precision ?? (capabilities.f16 ? "f16" : "f32");
  const source = await openInitVideo(a);
  const options = {
    ...generateOptions("", a),
    ...videoOptions(source && plannedVideo(source, a), a),
  };
  const storage = storageOf(a, precision);
  const networks = await what(a, precision === "f16");
  const result = await planPipeline(capabilities, { ...networks, precision, storage }, options);
  const limit = memoryOf(capabilities);
  const fits = limit === undefined ? undefined : result.peakBytes <= limit;
  if (a.json)
    console.log(JSON.stringify({ adapter: capabilities.name, precision, ...storage, ...result, fits, limit }));
  else console.log(text(result, capabilities, storage, limit));
}

/** The networks to plan: published sizes, or those of the files' headers. */
async function what(a: RunArguments, half: boolean): Promise<ModelSources | { readonly model: "sd15" }> {
  if (a.model === "sd15") {
    if (a.motion !== undefined)
      throw new UsageError("--model sd15 plans AnimateLCM's published motion modules; leave out --motion");
    return { model: "sd15" };
  }
  const { model, motion, vae } = modelPaths(a);
  const terminal = new Terminal({ quiet: a.quiet });
  return interruptible(async (signal) => {
    const fetching = { terminal, signal, half };
    return {
      model: await openPath(model, "--model", fetching),
      ...(motion !== undefined && { motion: await openPath(motion, "--motion", fetching) }),
      ...(vae !== undefined && { vae: await openPath(vae, "--vae", fetching) }),
    };
  });
}

/** An adapter's memory: the machine's for one that runs on the CPU; WebGPU does not tell a GPU's. */
function memoryOf({ kind }: Capabilities): number | undefined {
  return kind === "cpu" ? totalmem() : undefined;
}

/** The chosen adapter's limits; without any adapter those of a typical GPU. */
async function adapterOrTypical(choice: string | undefined): Promise<Capabilities> {
  try {
    using device = await openAdapter(choice);
    return device.capabilities;
  } catch (error) {
    if (choice !== undefined) throw error;
    return TYPICAL;
  }
}

function text(p: Plan, { name, kind }: Capabilities, storage: ModelStorage, limit: number | undefined): string {
  const { text, unet, motion, vae } = p.parameters;
  const rows = [
    ["stage", "FLOPs", "dispatches", "peak memory"],
    ...p.stages.map((s) => [s.name, count(s.flops), String(s.dispatches), bytes(s.peakBytes)]),
    ["total", count(p.flops), String(p.dispatches), bytes(p.peakBytes)],
  ];
  return [
    `adapter     ${name}`,
    `parameters  text encoder ${count(text)}, UNet ${count(unet)}, motion modules ${count(motion)}, ${p.stages.some((s) => s.name === "video") ? "VAE" : "VAE decoder"} ${count(vae)}`,
    `weights     ${bytes(p.weightBytes)} (${storage.weights}${storage.lowMemory === true ? ", the UNet's on the host" : ""})`,
    `pipelines   ${p.pipelines}`,
    "",
    table(rows, [false, true, true, true]),
    "",
    limit === undefined
      ? `Every buffer fits this ${kind === "gpu" ? "GPU" : "adapter"}'s limits; WebGPU does not tell how much memory it has in all: it should be more than ${bytes(p.peakBytes)}.`
      : p.peakBytes <= limit
        ? `Fits: the adapter works in the machine's own memory of ${bytes(limit)}.`
        : `Does not fit: the adapter works in the machine's own memory of ${bytes(limit)}. --low-memory, --weights int8, fewer frames or a smaller size take less.`,
  ].join("\n");
}
