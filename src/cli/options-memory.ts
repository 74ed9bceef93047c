// Options that trade memory for time: how weights are stored, and where.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { ModelStorage } from "../pipelines/build.js";

/** Memory options of `generate` and `plan`, as parsed. */
export interface MemoryArguments {
  readonly weights?: "f32" | "f16" | "int8";
  readonly lowMemory?: boolean;
  readonly vaeTiling?: boolean;
  /** Bytes. */
  readonly memory?: number;
}

/** Declares the memory options on a verb. */
export function addMemoryOptions(command: Command): Command {
  return command
    .optionsGroup("Memory:")
    .addOption(
      new Option(
        "--weights <type>",
        "storage of weights: f32, f16, or int8 for the UNet's with f16 for the others, about half of f16 (default: --precision)",
      ).choices(["f32", "f16", "int8"]),
    )
    .option(
      "--low-memory",
      "keep the UNet's weights in the machine's memory and upload them layer by layer: the same frames in a fifth of the memory, more slowly",
    )
    .option(
      "--vae-tiling",
      "decode pictures larger than the VAE was trained on in overlapping tiles, as diffusers does: slightly other pictures, memory that does not grow with the size",
    )
    .option(
      "--memory <size>",
      "what the run may use on the adapter, like 4GB or 800MB: beyond it, --vae-tiling and then --low-memory are applied (default: the machine's for adapters on the CPU; WebGPU does not tell a GPU's)",
      size,
    );
}

/** "4GB", "3.5G", "800MB" in bytes. */
function size(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([MG])i?B?$/i.exec(text) ?? [];
  if (number === undefined || unit === undefined)
    throw new InvalidArgumentError("Expected a size in MB or GB, like 4GB or 800MB.");
  return Number(number) * (unit.toUpperCase() === "G" ? 1e9 : 1e6);
}

/** How a run's weights are stored. */
export function storageOf({ weights, lowMemory = false }: MemoryArguments, precision: "f32" | "f16"): ModelStorage {
  return { weights: weights ?? precision, lowMemory };
}
