// Options that trade memory for time: how weights are stored, and where.

import { type Command, Option } from "commander";
import type { ModelStorage } from "../pipelines/build.js";

/** Memory options of `generate` and `plan`, as parsed. */
export interface MemoryArguments {
  readonly weights?: "f32" | "f16" | "int8";
  readonly lowMemory?: boolean;
  readonly vaeTiling?: boolean;
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
    );
}

/** How a run's weights are stored. */
export function storageOf({ weights, lowMemory = false }: MemoryArguments, precision: "f32" | "f16"): ModelStorage {
  return { weights: weights ?? precision, lowMemory };
}
