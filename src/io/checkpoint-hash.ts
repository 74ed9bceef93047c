// Short fingerprints of checkpoints, without reading gigabytes: by what a file holds (for recipes), and by some of its bytes too
// (for runs that go on later). The same on every machine, in Node and in browsers.

import type { WeightEntry, WeightFile } from "./weight-files.js";

/** Bytes that `contentHash` reads of a file, shared among its tensors, and of each at least. */
const SAMPLE = { all: 2 ** 20, each: 256 };

/** Reads at a time. */
const AT_ONCE = 16;

/** sha256 over the names, types and shapes of a checkpoint's tensors, in file order; 64 hexadecimal digits. */
export function headerHash(file: WeightFile): Promise<string> {
  return sha256(new TextEncoder().encode(headerText(file.entries())));
}

/**
 * The same, and over the first bytes of every tensor as they are stored: all of it in a file of up to about a megabyte, about a
 * megabyte of a larger one. Training changes every tensor that it changes from the first value on, so files of one layout differ
 * by it. `besides` is what else tells them apart, as JSON.
 */
export async function contentHash(file: WeightFile, besides?: unknown): Promise<string> {
  const entries = [...file.entries()];
  const share = Math.max(SAMPLE.each, Math.floor(SAMPLE.all / Math.max(1, entries.length)));
  const parts: BlobPart[] = [`${headerText(entries)}${JSON.stringify(besides) ?? ""}\n`];
  for (let i = 0; i < entries.length; i += AT_ONCE)
    parts.push(...(await Promise.all(entries.slice(i, i + AT_ONCE).map((e) => firstBytes(file, e.name, share)))));
  return sha256(await new Blob(parts).arrayBuffer());
}

/** 64 hexadecimal digits. */
export async function sha256(bytes: BufferSource): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (b) => b.toString(16).padStart(2, "0")).join("");
}

function headerText(entries: Iterable<WeightEntry>): string {
  return [...entries].map((e) => `${e.name} ${e.dtype} ${e.shape.join("x")}\n`).join("");
}

async function firstBytes(file: WeightFile, name: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  for await (const { bytes } of file.chunks(name, "stored", most)) return bytes;
  return new Uint8Array(); // a tensor without elements
}
