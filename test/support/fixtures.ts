// Fixtures written by test/reference/*.py: tensors in PyTorch's layouts, with the cases' arguments in the metadata.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Folder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource, openSafetensors, writeSafetensors, type Safetensors } from "../../src/io/safetensors.js";
import type { WeightSource } from "../../src/nn/weights.js";

/** Path of a fixture. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`../reference/fixtures/${name}`, import.meta.url));
}

/**
 * A folder of fixtures whose weights (those whose names match) are stored as f32, the same values: vectors are then used as
 * they are stored.
 */
export async function storedAsF32(name: string, which = /./): Promise<Folder> {
  const folder = await openFolder(fixturePath(name));
  return {
    ...folder,
    open: async (path) => {
      const file = await openSafetensors(await folder.open(path));
      const tensors = [...file.tensors.values()].map(async (t) => {
        const to = which.test(t.name) ? "f32" : "stored";
        return { ...t, dtype: to === "f32" ? ("F32" as const) : t.dtype, data: await file.read(t.name, to) };
      });
      const bytes = writeSafetensors(await Promise.all(tensors));
      await file.close();
      return memorySource(path, bytes);
    },
  };
}

/** A safetensors fixture with its cases. */
export class Fixture {
  readonly #file: Safetensors;

  private constructor(file: Safetensors) {
    this.#file = file;
  }

  static async open(name: string): Promise<Fixture> {
    // Read whole: fixtures live as long as the tests, and a file left open is closed with a warning.
    return new Fixture(await openSafetensors(memorySource(name, readFileSync(fixturePath(name)))));
  }

  /** The JSON under a key of the metadata. */
  json<T>(key: string): T {
    return JSON.parse(this.#file.metadata.get(key) ?? "null") as T;
  }

  has(name: string): boolean {
    return this.#file.tensors.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#file.info(name).shape;
  }

  async values(name: string): Promise<Float32Array> {
    return new Float32Array((await this.#file.read(name, "f32")).slice().buffer);
  }

  /** NCHW pictures as `[n, h, w, c]`, or a sequence `[b, n, c]` as it is. */
  async channelsLast(name: string): Promise<{ values: Float32Array; shape: number[] }> {
    const [n = 1, c = 1, h, w] = this.shape(name);
    const x = await this.values(name);
    if (h === undefined || w === undefined) return { values: x, shape: [...this.shape(name)] };
    const y = new Float32Array(x.length);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < c; k++)
        for (let p = 0; p < h * w; p++) y[(i * h * w + p) * c + k] = x[(i * c + k) * h * w + p]!;
    return { values: y, shape: [n, h, w, c] };
  }

  /** The tensors below a prefix as a source of weights. */
  weights(prefix: string): WeightSource {
    const file = this.#file;
    return {
      name: prefix,
      *entries() {
        for (const [name, { shape, dtype }] of file.tensors)
          if (name.startsWith(prefix)) yield { name: name.slice(prefix.length), shape, dtype };
      },
      read: (name, as) => file.read(prefix + name, as),
    };
  }
}
