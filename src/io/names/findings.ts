// What identification speaks in: the kinds of checkpoints, what is found of one, and a file's names asked in many ways.

import type { WeightFile } from "../weight-files.js";

export type CheckpointKind =
  | "sd15-single-file"
  | "sd15-inpainting"
  | "unet"
  | "unet-motion"
  | "vae"
  | "text-encoder"
  | "motion"
  | "motion-sdxl"
  | "lora"
  | "controlnet"
  | "t2i-adapter"
  | "sparse-control"
  | "textual-inversion"
  | "ip-adapter"
  | "image-encoder"
  | "safety-checker"
  | "sd2"
  | "sdxl"
  | "sd3"
  | "flux"
  | "svd"
  | "upscaler"
  | "diffusers-folder"
  | "unknown";

/** Facts by name: width, positions, spelling, … */
export type Details = Record<string, string | number | boolean>;
export type Finding = readonly [kind: CheckpointKind, description: string, details?: Details];

/** Names and shapes, asked in many ways. */
export class Names {
  readonly #shapes: ReadonlyMap<string, readonly number[]>;
  readonly all: readonly string[];

  constructor(file: WeightFile) {
    this.#shapes = new Map([...file.entries()].map((e) => [e.name.replace(/^module\./, ""), e.shape]));
    this.all = [...this.#shapes.keys()];
  }
  shape(name: string): readonly number[] | undefined {
    return this.#shapes.get(name);
  }
  has(name: string): boolean {
    return this.#shapes.has(name);
  }
  some(pattern: RegExp): boolean {
    return this.all.some((n) => pattern.test(n));
  }
  find(pattern: RegExp): string | undefined {
    return this.all.find((n) => pattern.test(n));
  }
  count(pattern: RegExp): number {
    return this.all.reduce((n, name) => n + (pattern.test(name) ? 1 : 0), 0);
  }
}
