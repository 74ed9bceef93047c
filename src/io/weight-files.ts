// One view of a checkpoint for everything above: names, shapes and types first, then each tensor's values as f32 or f16,
// whatever the container: one safetensors file, several behind an index, or a torch file. Names are those in the file.

import type { ByteSource } from "./byte-source.js";
import { CheckpointError, quoted } from "./errors.js";
import { plainPath, type Folder } from "./folder.js";
import { openSafetensors, type Safetensors, type TensorChunk } from "./safetensors.js";
import { describeKind, sniffSource } from "./sniff.js";
import type { ReadAs, StoredType } from "./stored-types.js";
import { openTorchFile } from "./torch-file.js";

/** A tensor in a checkpoint. */
export interface WeightEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: StoredType;
}

/** A checkpoint. Entries come in file order: reading in that order reads the disk once from front to back. */
export interface WeightFile {
  readonly name: string;
  readonly format: "safetensors" | "sharded safetensors" | "torch" | "sharded torch";
  readonly metadata: ReadonlyMap<string, string>;
  /** What was left out of the entries and why, one sentence each (values that are no tensors, for one). */
  readonly notes: readonly string[];
  entries(): Iterable<WeightEntry>;
  has(name: string): boolean;
  /** @throws CheckpointError when there is no such tensor. */
  entry(name: string): WeightEntry;
  /** A whole tensor. Not to be written to. */
  read(name: string, as: ReadAs): Promise<Uint8Array<ArrayBuffer>>;
  /** A tensor in pieces of at most `limit` stored bytes (16 MiB where none is given). */
  chunks(name: string, as: ReadAs, limit?: number): AsyncIterable<TensorChunk>;
  close(): Promise<void>;
}

/** A safetensors file as a `WeightFile`. */
export function safetensorsWeights(file: Safetensors): WeightFile {
  return {
    name: file.source.name,
    format: "safetensors",
    metadata: file.metadata,
    notes: [],
    entries: () => file.tensors.values(),
    has: (name) => file.tensors.has(name),
    entry: (name) => file.info(name),
    read: (name, as) => file.read(name, as),
    chunks: (name, as, limit) => file.chunks(name, as, limit),
    close: () => file.close(),
  };
}

/**
 * Opens a checkpoint file of any container known here; closes the source when it cannot.
 * @throws CheckpointError that names what the file is instead.
 */
export async function openWeights(source: ByteSource): Promise<WeightFile> {
  try {
    const kind = await sniffSource(source);
    if (kind === "torch-zip" || kind === "torch-legacy" || kind === "pickle") return await openTorchFile(source);
    if (kind !== "safetensors" && kind !== "unknown" && kind !== "zeros")
      throw new CheckpointError(`${source.name} is no checkpoint: it is ${describeKind(kind)}`);
    return safetensorsWeights(await openSafetensors(source));
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** Several files as one. @throws CheckpointError when two carry the same name. */
export function joinWeights(name: string, files: readonly WeightFile[]): WeightFile {
  const owner = new Map<string, WeightFile>();
  for (const file of files)
    for (const entry of file.entries()) {
      const other = owner.get(entry.name);
      if (other)
        throw new CheckpointError(`${name}: ${quoted(entry.name)} is in ${other.name} and again in ${file.name}`);
      owner.set(entry.name, file);
    }
  const find = (tensor: string): WeightFile => {
    const file = owner.get(tensor);
    if (!file) throw new CheckpointError(`${name} has no tensor ${quoted(tensor)}`);
    return file;
  };
  return {
    name,
    format: files.some((f) => f.format.endsWith("torch")) ? "sharded torch" : "sharded safetensors",
    metadata: new Map(files.flatMap((f) => [...f.metadata])),
    notes: files.flatMap((f) => f.notes),
    *entries() {
      for (const file of files) yield* file.entries();
    },
    has: (tensor) => owner.has(tensor),
    entry: (tensor) => find(tensor).entry(tensor),
    read: async (tensor, as) => find(tensor).read(tensor, as),
    chunks: (tensor, as, limit) => find(tensor).chunks(tensor, as, limit),
    async close() {
      await Promise.all(files.map((f) => f.close()));
    },
  };
}

/** How diffusers and transformers call the weights of a component, best first. */
const STEMS = ["diffusion_pytorch_model", "model", "pytorch_model", "adapter_model"] as const;

export interface VariantOptions {
  /** `"fp16"`, `"non_ema"`, …: the part before the suffix. Without one, unmarked weights are taken, then fp16 ones. */
  readonly variant?: string;
}

/** Which file of a component's folder holds its weights: safetensors before torch, the wished variant alone if one is named. */
export function chooseWeights(folder: string, paths: readonly string[], options: VariantOptions = {}): string {
  const here = new Set(paths.filter((p) => !p.includes("/")));
  const variants = options.variant === undefined ? ["", ".fp16", ".bf16", ".non_ema"] : [`.${options.variant}`];
  for (const suffix of [".safetensors", ".bin"])
    for (const variant of variants)
      for (const stem of STEMS)
        for (const file of [
          `${stem}${variant}${suffix}`,
          `${stem}${suffix}.index${variant}.json`,
          `${stem}${variant}${suffix}.index.json`,
        ])
          if (here.has(file)) return file;
  const others = [...here].filter((p) => /\.(safetensors|bin|ckpt|pt|pth)$/.test(p));
  if (options.variant === undefined && others.length === 1) return others[0]!;
  throw new CheckpointError(
    `${folder} has no weights${options.variant === undefined ? "" : ` of the variant ${quoted(options.variant)}`}: expected diffusion_pytorch_model.safetensors or model.safetensors` +
      (others.length > 0 ? `, found ${others.slice(0, 5).join(", ")}` : ""),
  );
}

/**
 * The weights in a component's folder (`unet/`, `vae/`, …), sharded or not.
 * @throws CheckpointError when there are none, or the index names shards that are missing or lack a tensor.
 */
export async function openWeightsFolder(folder: Folder, options: VariantOptions = {}): Promise<WeightFile> {
  const paths = await folder.list();
  const file = chooseWeights(folder.name, paths, options);
  if (!file.endsWith(".json")) return openWeights(await folder.open(file));
  const name = `${folder.name}/${file}`;
  const shards = readIndex(name, await folder.readText(file));
  const open: WeightFile[] = [];
  try {
    for (const shard of new Set(shards.values())) {
      if (!paths.includes(plainPath(folder.name, shard)))
        throw new CheckpointError(
          `${name} names ${quoted(shard)}, which is not in the folder: download the missing file`,
        );
      open.push(await openWeights(await folder.open(shard)));
    }
    const joined = joinWeights(name, open);
    for (const [tensor, shard] of shards)
      if (!joined.has(tensor))
        throw new CheckpointError(`${name}: ${quoted(tensor)} should be in ${shard}, but is not`);
    return joined;
  } catch (error) {
    await Promise.all(open.map((f) => f.close()));
    throw error;
  }
}

/** Bytes of a shard index that are read: the largest published ones have less than 1 MB. */
const MAX_INDEX = 64 * 2 ** 20;

/** Tensor name → shard, from `{"weight_map": {…}}`. */
function readIndex(name: string, text: string): Map<string, string> {
  if (text.length > MAX_INDEX) throw new CheckpointError(`${name} is too large for an index`);
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${name} is no valid JSON: download it again`, { cause: error });
  }
  const map = typeof index === "object" && index !== null && "weight_map" in index ? index.weight_map : undefined;
  if (typeof map !== "object" || map === null || Array.isArray(map))
    throw new CheckpointError(`${name} has no "weight_map": it is no index of weights`);
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (typeof shard !== "string") throw new CheckpointError(`${name}: ${quoted(tensor)} is in no named file`);
    shards.set(tensor, shard);
  }
  return shards;
}
