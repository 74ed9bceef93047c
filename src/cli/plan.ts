// kineograph plan: what a run takes in memory and arithmetic, told without running it.

import { TYPICAL, type Capabilities } from "../gpu/limits.js";
import { planPipeline, type Plan } from "../pipelines/plan.js";
import { openAdapter } from "./adapters.js";
import { bytes, count, table } from "./format.js";
import { generateOptions, type RunArguments } from "./options.js";
import { modelPaths, openPath } from "./sources.js";

export async function plan(a: RunArguments): Promise<void> {
  const capabilities = await adapterOrTypical(a.device);
  const precision = a.precision ?? (capabilities.f16 ? "f16" : "f32");
  const result = await planPipeline(capabilities, await what(a, precision), generateOptions("", a));
  if (a.json) console.log(JSON.stringify({ adapter: capabilities.name, precision, ...result }));
  else console.log(text(result, capabilities, precision));
}

/** The networks to plan: published sizes, or those of the files' headers. */
async function what(a: RunArguments, precision: "f32" | "f16"): Promise<Parameters<typeof planPipeline>[1]> {
  if (a.model === "sd15") return { model: "sd15", precision };
  const { model, motion } = modelPaths(a);
  return {
    model: await openPath(model, "--model"),
    precision,
    ...(motion !== undefined && { motion: await openPath(motion, "--motion") }),
  };
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

function text(p: Plan, { name }: Capabilities, precision: string): string {
  const { text, unet, motion, vae } = p.parameters;
  const rows = [
    ["stage", "FLOPs", "dispatches", "peak memory"],
    ...p.stages.map((s) => [s.name, count(s.flops), String(s.dispatches), bytes(s.peakBytes)]),
    ["total", count(p.flops), String(p.dispatches), bytes(p.peakBytes)],
  ];
  return [
    `adapter     ${name}`,
    `parameters  text encoder ${count(text)}, UNet ${count(unet)}, motion modules ${count(motion)}, VAE decoder ${count(vae)}`,
    `weights     ${bytes(p.weightBytes)} (${precision})`,
    `pipelines   ${p.pipelines}`,
    "",
    table(rows, [false, true, true, true]),
    "",
    "No single buffer exceeds this adapter's limits. WebGPU does not tell how much memory it has in all.",
  ].join("\n");
}
