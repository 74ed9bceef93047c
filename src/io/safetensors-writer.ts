// Writing safetensors. Order and header are those of the reference writer (wider types first, then by name; compact JSON,
// padded with spaces to 8 bytes), so the same tensors give the same file, and every tensor lies on its type's boundary.

import { CheckpointError, quoted } from "./errors.js";
import { storedBytes, type StoredType } from "./stored-types.js";

/** A tensor to write; its bytes at once, or a function that yields them in pieces when their turn comes. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>);
}

type Described = Pick<TensorToWrite, "name" | "dtype" | "shape">;

/** The reference implementation's order of types, widest last; it writes them backwards. */
const ORDER: readonly StoredType[] = [
  "BOOL",
  "U8",
  "I8",
  "F8_E5M2",
  "F8_E4M3",
  "I16",
  "U16",
  "F16",
  "BF16",
  "I32",
  "U32",
  "F32",
  "F64",
  "I64",
  "U64",
];

/** Bytes of a tensor as stored. */
function size({ dtype, shape }: Described): number {
  return shape.reduce((n, s) => n * s, storedBytes(dtype));
}

const utf8 = new TextEncoder();

function compareUtf8(a: string, b: string): number {
  const x = utf8.encode(a);
  const y = utf8.encode(b);
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}

/** Tensors in the order they are written in. */
function inOrder<T extends Described>(tensors: Iterable<T>): T[] {
  return [...tensors].toSorted(
    (a, b) => ORDER.indexOf(b.dtype) - ORDER.indexOf(a.dtype) || (a.name === b.name ? 0 : compareUtf8(a.name, b.name)),
  );
}

/**
 * The file up to the first tensor's bytes, and the tensors in the order in which they follow.
 * @throws CheckpointError for a name that occurs twice or is the format's own.
 */
export function safetensorsHeader<T extends Described>(
  tensors: Iterable<T>,
  metadata?: Iterable<readonly [string, string]>,
): { readonly header: Uint8Array<ArrayBuffer>; readonly order: readonly T[]; readonly bytes: number } {
  const order = inOrder(tensors);
  const seen = new Set<string>();
  const parts: string[] = [];
  if (metadata) {
    const pairs = [...metadata].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`);
    parts.push(`"__metadata__":{${pairs.join(",")}}`);
  }
  let at = 0;
  for (const tensor of order) {
    const { name, dtype, shape } = tensor;
    if (seen.has(name) || name === "__metadata__" || name === "__proto__")
      throw new CheckpointError(
        `safetensors: a tensor cannot be called ${quoted(name)}${seen.has(name) ? " twice" : ""}`,
      );
    seen.add(name);
    const end = at + size(tensor);
    parts.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const json = utf8.encode(`{${parts.join(",")}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, 8);
  return { header, order, bytes: header.length + at };
}

function* pieces(data: Uint8Array): Iterable<Uint8Array> {
  yield data;
}

/** A safetensors file in pieces, to be written one after another; tensors are asked for their bytes in file order. */
export async function* streamSafetensors(
  tensors: Iterable<TensorToWrite>,
  metadata?: Iterable<readonly [string, string]>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { header, order } = safetensorsHeader(tensors, metadata);
  yield header;
  for (const tensor of order) {
    let written = 0;
    for await (const piece of typeof tensor.data === "function" ? tensor.data() : pieces(tensor.data)) {
      written += piece.byteLength;
      yield piece;
    }
    if (written !== size(tensor))
      throw new CheckpointError(
        `safetensors: tensor ${quoted(tensor.name)} is ${tensor.dtype} [${tensor.shape.join(", ")}], which takes ${size(tensor)} bytes, but ${written} were given`,
      );
  }
}

/** A whole safetensors file in memory. */
export function writeSafetensors(
  tensors: Iterable<TensorToWrite & { readonly data: Uint8Array }>,
  metadata?: Iterable<readonly [string, string]>,
): Uint8Array<ArrayBuffer> {
  const { header, order, bytes } = safetensorsHeader(tensors, metadata);
  const file = new Uint8Array(bytes);
  file.set(header);
  let at = header.length;
  for (const tensor of order) {
    if (tensor.data.byteLength !== size(tensor))
      throw new CheckpointError(
        `safetensors: tensor ${quoted(tensor.name)} is ${tensor.dtype} [${tensor.shape.join(", ")}], which takes ${size(tensor)} bytes, but ${tensor.data.byteLength} were given`,
      );
    file.set(tensor.data, at);
    at += tensor.data.byteLength;
  }
  return file;
}
