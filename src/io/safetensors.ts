// safetensors files: u64 header length, a JSON header { name: { dtype, shape, data_offsets } }, then the tensors' bytes.
// Source: https://github.com/huggingface/safetensors (README, "Format"). Everything is checked before a tensor is read: the
// tensors tile the data exactly, without gaps or overlap, and each has the bytes its shape and type ask for.

import type { ByteSource } from "./byte-source.js";
import { CheckpointError, quoted } from "./errors.js";
import { repeatedKey } from "./json-keys.js";
import { describeKind, sniff, SNIFF_BYTES } from "./sniff.js";
import {
  convertStored,
  isStoredType,
  STORED_TYPES,
  storedBytes,
  type ReadAs,
  type StoredType,
} from "./stored-types.js";

export { CheckpointError } from "./errors.js";
export { blobSource, fetchSource, memorySource, type ByteSource, type FetchOptions } from "./byte-source.js";
export { convertStored, STORED_TYPES, storedBytes, type ReadAs, type StoredType } from "./stored-types.js";
export { safetensorsHeader, streamSafetensors, writeSafetensors, type TensorToWrite } from "./safetensors-writer.js";

/** The reference reader's limit on the JSON header. */
export const MAX_HEADER = 100_000_000;
/** Bytes per piece of a streamed tensor. */
export const CHUNK_BYTES = 16 * 2 ** 20;
const MAX_RANK = 32;

/** One tensor of a file. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  /** First byte in the file and the one after the last. */
  readonly begin: number;
  readonly end: number;
}

/** A piece of a tensor: `bytes` are its elements from number `element` on. */
export interface TensorChunk {
  readonly element: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An open safetensors file: all names and shapes at once, values on demand. */
export class Safetensors {
  readonly source: ByteSource;
  /** The header's `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Tensors in file order. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes before the first tensor: the length and the JSON header. */
  readonly headerBytes: number;

  /** @internal */
  constructor(
    source: ByteSource,
    metadata: ReadonlyMap<string, string>,
    tensors: ReadonlyMap<string, TensorInfo>,
    headerBytes: number,
  ) {
    this.source = source;
    this.metadata = metadata;
    this.tensors = tensors;
    this.headerBytes = headerBytes;
  }

  /** @throws CheckpointError when there is no such tensor. */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) throw new CheckpointError(`${this.source.name} has no tensor ${quoted(name)}`);
    return info;
  }

  /** A tensor's bytes: as stored, or as little-endian f32 or f16. Not to be written to. */
  async read(name: string, as: ReadAs = "stored"): Promise<Uint8Array<ArrayBuffer>> {
    const { dtype, begin, end } = this.info(name);
    return convertStored(await this.source.read(begin, end - begin), dtype, as);
  }

  /** A tensor's values; a fresh array. */
  async readF32(name: string): Promise<Float32Array<ArrayBuffer>> {
    const bytes = await this.read(name, "f32");
    return new Float32Array(bytes.slice().buffer);
  }

  /** A tensor in pieces of at most `limit` stored bytes, in order, so that memory stays bounded whatever its size. */
  async *chunks(
    name: string,
    as: ReadAs = "stored",
    limit = CHUNK_BYTES,
  ): AsyncGenerator<TensorChunk, void, undefined> {
    const { dtype, begin, end } = this.info(name);
    const size = storedBytes(dtype);
    const step = Math.max(size, limit - (limit % size));
    for (let at = begin; at < end; at += step) {
      const bytes = await this.source.read(at, Math.min(step, end - at));
      yield { element: (at - begin) / size, bytes: convertStored(bytes, dtype, as) };
    }
  }

  async close(): Promise<void> {
    await this.source.close?.();
  }
}

/**
 * Opens a safetensors file: reads and checks its header, no tensor.
 * @throws CheckpointError when it is another kind of file (which is named), damaged, or not to be trusted.
 */
export async function openSafetensors(source: ByteSource): Promise<Safetensors> {
  const { name, size } = source;
  const head = await source.read(0, Math.min(size, SNIFF_BYTES));
  const kind = sniff(head, size);
  if (kind !== "safetensors" && kind !== "unknown" && kind !== "zeros")
    throw new CheckpointError(`${name} is no safetensors file: it is ${describeKind(kind)}`);
  if (size < 10) throw new CheckpointError(`${name} is no safetensors file: it has only ${size} bytes`);
  const view = new DataView(head.buffer, head.byteOffset);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (kind !== "safetensors")
    throw new CheckpointError(
      `${name} is no safetensors file: it is ${kind === "zeros" ? describeKind(kind) : "damaged, or of a format not known here"}`,
    );
  if (length > MAX_HEADER)
    throw new CheckpointError(
      `${name}: its header claims ${length} bytes, the format allows ${MAX_HEADER}; it is damaged`,
    );
  if (length > size - 8)
    throw new CheckpointError(
      `${name}: its header claims ${length} bytes, but the file has ${size}; it is cut off or damaged: download it again`,
    );
  const raw = await source.read(8, length);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
    header = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${name}: its header is no valid JSON; the file is damaged: download it again`, {
      cause: error,
    });
  }
  const twice = repeatedKey(text, 2);
  if (twice !== undefined) throw new CheckpointError(`${name}: its header has the key ${quoted(twice)} twice`);
  if (!isRecord(header)) throw new CheckpointError(`${name}: its header is no JSON object`);
  const { metadata, tensors } = checkHeader(name, header, size - 8 - length, 8 + length);
  return new Safetensors(source, metadata, tensors, 8 + length);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkHeader(
  file: string,
  header: Readonly<Record<string, unknown>>,
  dataBytes: number,
  dataBegin: number,
): { metadata: Map<string, string>; tensors: Map<string, TensorInfo> } {
  const metadata = new Map<string, string>();
  const infos: TensorInfo[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__proto__") throw new CheckpointError(`${file}: a tensor cannot be called "__proto__"`);
    if (name === "__metadata__") {
      if (!isRecord(value)) throw new CheckpointError(`${file}: __metadata__ is no JSON object`);
      for (const [key, v] of Object.entries(value)) {
        if (typeof v !== "string") throw new CheckpointError(`${file}: __metadata__ ${quoted(key)} is no string`);
        metadata.set(key, v);
      }
    } else infos.push(checkTensor(file, name, value, dataBytes, dataBegin));
  }
  infos.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = dataBegin;
  for (const { name, begin, end } of infos) {
    if (begin < at)
      throw new CheckpointError(`${file}: tensor ${quoted(name)} overlaps the one before it; the file is damaged`);
    if (begin > at)
      throw new CheckpointError(
        `${file}: ${begin - at} bytes before tensor ${quoted(name)} belong to none; the file is damaged`,
      );
    at = end;
  }
  if (at !== dataBegin + dataBytes)
    throw new CheckpointError(
      `${file}: the tensors end at byte ${at}, but the file has ${dataBegin + dataBytes}; it is damaged: download it again`,
    );
  return { metadata, tensors: new Map(infos.map((info) => [info.name, info])) };
}

function checkTensor(file: string, name: string, value: unknown, dataBytes: number, dataBegin: number): TensorInfo {
  const fail = (what: string) => new CheckpointError(`${file}: tensor ${quoted(name)} ${what}`);
  if (!isRecord(value)) throw fail("is described by no JSON object");
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !isStoredType(dtype))
    throw fail(`has the type ${quoted(String(dtype))}; known are ${STORED_TYPES.join(", ")}`);
  const count = (v: unknown): v is number => typeof v === "number" && Number.isSafeInteger(v) && v >= 0;
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(count))
    throw fail("has a shape that is no list of sizes");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(count))
    throw fail("has data_offsets that are no two byte positions");
  const [begin, end] = [offsets[0]!, offsets[1]!];
  if (begin > end || end > dataBytes)
    throw fail(`lies at bytes ${begin} to ${end} of ${dataBytes}; the file is cut off or damaged: download it again`);
  const bytes = shape.includes(0) ? 0 : shape.reduce((n, s) => n * s, storedBytes(dtype));
  if (bytes !== end - begin)
    throw fail(`is ${dtype} [${shape.join(", ")}], which takes ${bytes} bytes, but has ${end - begin}`);
  return { name, dtype, shape, begin: dataBegin + begin, end: dataBegin + end };
}
