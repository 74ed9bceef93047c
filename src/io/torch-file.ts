// Checkpoints written by torch.save since 1.6: a zip with `<root>/data.pkl`, which describes the tensors, and their storages
// in `<root>/data/<key>`, read in place. The pickle may build tensors and plain values and nothing else (unpickle.ts).
// Source: https://github.com/pytorch/pytorch, torch/serialization.py and torch/_utils.py.

import type { ByteSource } from "./byte-source.js";
import { CheckpointError, quoted } from "./errors.js";
import { CHUNK_BYTES, type TensorChunk } from "./safetensors.js";
import { describeKind, sniffSource } from "./sniff.js";
import { convertStored, storedBytes, type ReadAs } from "./stored-types.js";
import { stateDict } from "./state-dict.js";
import { TorchStorage, torchGlobal, type TorchTensor } from "./torch-values.js";
import { MAX_PICKLE, unpickle, type PickleValue } from "./unpickle.js";
import type { WeightFile } from "./weight-files.js";
import { openZipEntry, readZip } from "./zip.js";

/**
 * Opens a torch file: reads its directory and its pickle, no tensor. Nested state dicts are flattened to one (`notes` says
 * what was left out).
 * @throws CheckpointError for other files (named), damage, and pickles that ask for more than tensors
 */
export async function openTorchFile(source: ByteSource): Promise<WeightFile> {
  const kind = await sniffSource(source);
  if (kind !== "torch-zip")
    throw new CheckpointError(`${source.name} is no torch file that is read here: it is ${describeKind(kind)}`);
  const zip = await readZip(source);
  const pickles = [...zip.keys()].filter((n) => n === "data.pkl" || n.endsWith("/data.pkl"));
  const pickle = pickles.toSorted((a, b) => a.length - b.length)[0];
  if (pickle === undefined) {
    const some = [...zip.keys()].slice(0, 3).map((n) => quoted(n, 40));
    throw new CheckpointError(
      `${source.name} is a zip archive, but none of torch.save: it holds ${some.length > 0 ? some.join(", ") : "nothing"}; unpack it if the model is inside`,
    );
  }
  const root = pickle.slice(0, -"data.pkl".length);
  if (zip.has(`${root}constants.pkl`))
    throw new CheckpointError(
      `${source.name} is a TorchScript program, not a checkpoint: save the module's state_dict instead`,
    );
  const entry = zip.get(pickle)!;
  if (entry.size > MAX_PICKLE)
    throw new CheckpointError(`${source.name}: a pickle of ${entry.size} bytes is no checkpoint's`);
  const order = zip.get(`${root}byteorder`);
  if (order && order.size < 16) {
    const text = await openZipEntry(source, order);
    if (new TextDecoder().decode(await text.read(0, text.size)) === "big")
      throw new CheckpointError(
        `${source.name} was written on a big-endian machine: load it in PyTorch and save it as safetensors`,
      );
  }

  const storages = new Map<string, TorchStorage>();
  const persistent = (id: PickleValue): TorchStorage => {
    const storage = TorchStorage.fromId(source.name, id);
    const known = storages.get(storage.key);
    if (known) return known.as(source.name, storage);
    const at = zip.get(`${root}data/${storage.key}`);
    if (!at)
      throw new CheckpointError(`${source.name}: the storage ${quoted(storage.key)} is missing; the file is damaged`);
    if (at.size < storage.bytes)
      throw new CheckpointError(
        `${source.name}: the storage ${quoted(storage.key)} has ${at.size} bytes, its tensors want ${storage.bytes}`,
      );
    storages.set(storage.key, storage);
    return storage;
  };
  const file = await openZipEntry(source, entry);
  const value = unpickle(await file.read(0, file.size), {
    name: source.name,
    global: (name) => torchGlobal(source.name, name),
    persistent,
  });
  const { tensors, texts, notes } = stateDict(source.name, value);
  const position = (t: TorchTensor) => zip.get(`${root}data/${t.storage.key}`)!.headerAt;
  const sorted = new Map([...tensors].toSorted(([, a], [, b]) => position(a) - position(b) || a.offset - b.offset));

  const find = (name: string): TorchTensor => {
    const tensor = sorted.get(name);
    if (!tensor) throw new CheckpointError(`${source.name} has no tensor ${quoted(name)}`);
    return tensor;
  };
  const opened = new Map<string, Promise<ByteSource>>();
  const open = (t: TorchTensor): Promise<ByteSource> => {
    const { key } = t.storage;
    const known = opened.get(key) ?? openZipEntry(source, zip.get(`${root}data/${key}`)!);
    opened.set(key, known);
    return known;
  };
  return {
    name: source.name,
    format: "torch",
    metadata: texts,
    notes,
    *entries() {
      for (const [name, { shape, dtype }] of sorted) yield { name, shape, dtype };
    },
    has: (name) => sorted.has(name),
    entry(name) {
      const { shape, dtype } = find(name);
      return { name, shape, dtype };
    },
    async read(name, as) {
      const tensor = find(name);
      return convertStored(await readTensor(await open(tensor), tensor), tensor.dtype, as);
    },
    async *chunks(name, as, limit = CHUNK_BYTES) {
      const tensor = find(name);
      yield* tensorChunks(await open(tensor), tensor, as, limit);
    },
    close: async () => source.close?.(),
  };
}

async function* tensorChunks(
  storage: ByteSource,
  tensor: TorchTensor,
  as: ReadAs,
  limit: number,
): AsyncGenerator<TensorChunk, void, undefined> {
  const size = storedBytes(tensor.dtype);
  const step = Math.max(1, Math.floor(limit / size));
  const strided = tensor.contiguous ? undefined : await readTensor(storage, tensor);
  for (let element = 0; element < tensor.elements; element += step) {
    const count = Math.min(step, tensor.elements - element);
    const bytes = strided
      ? strided.subarray(element * size, (element + count) * size)
      : await storage.read((tensor.offset + element) * size, count * size);
    yield { element, bytes: convertStored(bytes, tensor.dtype, as) };
  }
}

/** A tensor's elements in row-major order, whatever its strides. */
async function readTensor(storage: ByteSource, tensor: TorchTensor): Promise<Uint8Array<ArrayBuffer>> {
  const size = storedBytes(tensor.dtype);
  if (tensor.elements === 0) return new Uint8Array();
  const raw = await storage.read(tensor.offset * size, tensor.extent * size);
  if (tensor.contiguous) return raw;
  const out = new Uint8Array(tensor.elements * size);
  const { shape, strides } = tensor;
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < out.length; at += size) {
    for (let b = 0; b < size; b++) out[at + b] = raw[from * size + b]!;
    // The next index, last dimension first, as on an odometer.
    for (let d = shape.length - 1; d >= 0; d--) {
      from += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      from -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
  return out;
}
