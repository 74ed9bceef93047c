// Checkpoints for the tests of names: from lists of names and shapes, filled with small numbers, or empty where only names count.

import { readFileSync } from "node:fs";
import { memorySource } from "../../../src/io/byte-source.js";
import { openSafetensors, writeSafetensors } from "../../../src/io/safetensors.js";
import { safetensorsWeights, type WeightFile } from "../../../src/io/weight-files.js";

export type Listed = readonly [name: string, shape: readonly number[]];

const fixtures = new URL("../../reference/fixtures/names/", import.meta.url);

export function fixtureJson<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, fixtures), "utf8")) as T;
}

export async function fixtureWeights(name: string): Promise<WeightFile> {
  return safetensorsWeights(await openSafetensors(memorySource(name, readFileSync(new URL(name, fixtures)))));
}

/** Names and shapes without data: reading any fails. */
export function listedWeights(list: readonly Listed[], name = "listed"): WeightFile {
  const map = new Map(list.map(([n, shape]) => [n, { name: n, shape, dtype: "F16" as const }]));
  if (map.size !== list.length) throw new Error("a name twice");
  const none = () => {
    throw new Error("no data here");
  };
  return {
    name,
    format: "safetensors",
    metadata: new Map(),
    notes: [],
    entries: () => map.values(),
    has: (n) => map.has(n),
    entry: (n) => map.get(n)!,
    read: none,
    chunks: none,
    close: () => Promise.resolve(),
  };
}

/** f32 tensors with the given values. */
export async function valueWeights(
  tensors: Readonly<Record<string, readonly [shape: readonly number[], values: readonly number[]]>>,
  metadata: readonly (readonly [string, string])[] = [],
): Promise<WeightFile> {
  const bytes = writeSafetensors(
    Object.entries(tensors).map(([name, [shape, values]]) => ({
      name,
      shape,
      dtype: "F32" as const,
      data: new Uint8Array(new Float32Array(values).buffer),
    })),
    metadata,
  );
  return safetensorsWeights(await openSafetensors(memorySource("values.safetensors", bytes)));
}
