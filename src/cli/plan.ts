// kineograph plan: what a run takes in memory and arithmetic, told without running it.

import { TYPICAL, type Capabilities } from "../gpu/limits.js";
import type { ModelStorage } from "../pipelines/build.js";
import type { Plan } from "../pipelines/plan.js";
import { openAdapter } from "./adapters.js";
import { checkRun } from "./checks.js";
import { checkControls } from "./controls.js";
import { closestFit, memoryFor, planOf } from "./fit.js";
import { bytes, count, table } from "./format.js";
import type { RunArguments } from "./options.js";
import { storageOf } from "./options-memory.js";
import { openInitVideo } from "./options-video.js";

export async function plan(a: RunArguments): Promise<void> {
  await checkControls(a);
  checkRun(a, await openInitVideo(a));
  const capabilities = await adapterOrTypical(a.device);
  const precision = a.precision ?? (capabilities.f16 ? "f16" : "f32");
  const { run, changes, plan: made } = await closestFit(a, capabilities);
  const storage = storageOf(run, precision);
  const result = made ?? (await planOf(run, capabilities));
  const limit = memoryFor(a, capabilities);
  const fits = limit === undefined ? undefined : result.peakBytes <= limit;
  if (a.json)
    console.log(JSON.stringify({ adapter: capabilities.name, precision, ...storage, ...result, fits, limit, changes }));
  else {
    if (changes.length > 0)
      console.log(`memory      ${changes.join(" and ")}, ${fits === true ? "so that it fits" : "which takes least"}`);
    console.log(text(result, capabilities, storage, limit, a.memory !== undefined));
  }
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

function text(
  p: Plan,
  { name, kind }: Capabilities,
  storage: ModelStorage,
  limit: number | undefined,
  given: boolean,
): string {
  const { text, unet, motion, vae } = p.parameters;
  const rows = [
    ["stage", "FLOPs", "dispatches", "peak memory"],
    ...p.stages.map((s) => [s.name, count(s.flops), String(s.dispatches), bytes(s.peakBytes)]),
    ["total", count(p.flops), String(p.dispatches), bytes(p.peakBytes)],
  ];
  const lighter = [
    ...(storage.lowMemory === true ? [] : ["--low-memory"]),
    ...(storage.weights === "int8" ? [] : ["--weights int8"]),
    "fewer frames",
  ];
  return [
    `adapter     ${name}`,
    `parameters  text encoder ${count(text)}, UNet ${count(unet)}, motion modules ${count(motion)}, ${p.stages.some((s) => s.name === "video" || s.name === "control") ? "VAE" : "VAE decoder"} ${count(vae)}`,
    `weights     ${bytes(p.weightBytes)} (${storage.weights}${storage.lowMemory === true ? ", the UNet's on the host" : ""})`,
    ...(p.hostBytes > 0
      ? [`waiting     ${bytes(p.hostBytes)} on the host, of frames that other frames do not need yet`]
      : []),
    `pipelines   ${p.pipelines}`,
    "",
    table(rows, [false, true, true, true]),
    "",
    limit === undefined
      ? `Every buffer fits this ${kind === "gpu" ? "GPU" : "adapter"}'s limits; WebGPU does not tell how much memory it has in all: it should be more than ${bytes(p.peakBytes)}.`
      : p.peakBytes <= limit
        ? `Fits: ${given ? "--memory allows" : "the adapter works in the machine's own memory of"} ${bytes(limit)}.`
        : `Does not fit: ${given ? "--memory allows" : "the adapter works in the machine's own memory of"} ${bytes(limit)}. Less is taken by ${lighter.join(", ")} or a smaller size.`,
  ].join("\n");
}
