// Element types as checkpoints store them (the names are safetensors') and their exact conversion to f32 and f16: every
// value is rounded once, to nearest even, from what is stored; subnormals, infinities and NaN are kept. Little-endian hosts.

/** Element types of the safetensors format. */
export type StoredType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "I32"
  | "I16"
  | "I8"
  | "U64"
  | "U32"
  | "U16"
  | "U8"
  | "BOOL"
  | "F8_E4M3"
  | "F8_E5M2";

/** What a reader is asked for: values as f32 or f16, or the bytes as they are stored. */
export type ReadAs = "f32" | "f16" | "stored";

const BYTES: Readonly<Record<StoredType, number>> = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/** All type names. */
export const STORED_TYPES: readonly StoredType[] = Object.keys(BYTES).filter(isStoredType);

export function isStoredType(name: string): name is StoredType {
  return Object.hasOwn(BYTES, name);
}

/** Bytes per element as stored. */
export function storedBytes(type: StoredType): number {
  return BYTES[type];
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The bytes on an 8-byte boundary, so that typed arrays can look at them; a copy only where needed. */
function aligned(bytes: Bytes, to: number): Bytes {
  return bytes.byteOffset % to === 0 ? bytes : bytes.slice();
}

let f32OfHalf: Uint32Array | undefined;
let f32OfE4M3: Uint32Array | undefined;

/** The f32 bits of every f16. */
function halfTable(): Uint32Array {
  if (f32OfHalf) return f32OfHalf;
  const table = new Uint32Array(65536);
  for (let h = 0; h < 65536; h++) {
    const sign = (h & 0x8000) << 16;
    const exponent = (h >>> 10) & 31;
    let fraction = h & 0x3ff;
    if (exponent === 31) table[h] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent > 0) table[h] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else if (fraction === 0) table[h] = sign;
    else {
      let e = 113;
      for (; (fraction & 0x400) === 0; e--) fraction <<= 1;
      table[h] = sign | (e << 23) | ((fraction & 0x3ff) << 13);
    }
  }
  return (f32OfHalf = table);
}

/** The f32 bits of every F8_E4M3 (the "fn" kind: no infinities, all ones is NaN). */
function e4m3Table(): Uint32Array {
  if (f32OfE4M3) return f32OfE4M3;
  const values = new Float32Array(256);
  for (let b = 0; b < 256; b++) {
    const exponent = (b >>> 3) & 15;
    const fraction = b & 7;
    const size = (b & 127) === 127 ? NaN : exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10);
    values[b] = b & 128 ? -size : size;
  }
  return (f32OfE4M3 = new Uint32Array(values.buffer));
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** f16 bits of f32 bits, to nearest even. */
function halfOfBits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const abs = x & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7e00;
  if (abs >= 0x477ff000) return sign | 0x7c00;
  if (abs < 0x38800000) {
    // A subnormal half is a multiple of 2^-24, which is the last place of f32 numbers from 0.5 on.
    scratchBits[0] = abs;
    scratch[0] = scratch[0]! + 0.5;
    return sign | (scratchBits[0] - 0x3f000000);
  }
  return sign | ((abs + 0xfff + ((abs >>> 13) & 1) - 0x38000000) >>> 13);
}

/** f16 bits of an f64, rounded once (through f32 it would be twice). */
function halfOfDouble(value: number): number {
  scratch[0] = value;
  const error = value - scratch[0];
  // Odd rounding: where f32 lost something, its last bit says so, and the second rounding cannot tie by accident.
  if (error !== 0 && Number.isFinite(scratch[0])) {
    const outward = error > 0 === scratch[0] >= 0 && scratch[0] !== 0;
    if (scratch[0] === 0) scratchBits[0] = (value < 0 ? 0x80000000 : 0) | 1;
    else if ((scratchBits[0]! & 1) === 0) scratchBits[0] = scratchBits[0]! + (outward ? 1 : -1);
  }
  return halfOfBits(scratchBits[0]!);
}

/** A 64-bit integer as a double that rounds to the same f32 and f16: what does not fit is kept as an odd last bit. */
function doubleOfInt64(v: bigint): number {
  const abs = v < 0n ? -v : v;
  if (abs < 1n << 53n) return Number(v);
  const shifted = Number((abs >> 12n) | ((abs & 0xfffn) === 0n ? 0n : 1n)) * 4096;
  return v < 0n ? -shifted : shifted;
}

/** Elements as numbers, for the types that are rare enough not to need a loop of their own. */
function numbers(bytes: Bytes, type: StoredType): { readonly length: number; at(i: number): number } {
  const b = aligned(bytes, 8);
  const view = (array: ArrayLike<number>) => ({ length: array.length, at: (i: number) => array[i]! });
  const n = b.byteLength / BYTES[type];
  switch (type) {
    case "F64":
      return view(new Float64Array(b.buffer, b.byteOffset, n));
    case "I32":
      return view(new Int32Array(b.buffer, b.byteOffset, n));
    case "U32":
      return view(new Uint32Array(b.buffer, b.byteOffset, n));
    case "I16":
      return view(new Int16Array(b.buffer, b.byteOffset, n));
    case "U16":
      return view(new Uint16Array(b.buffer, b.byteOffset, n));
    case "I8":
      return view(new Int8Array(b.buffer, b.byteOffset, n));
    case "U8":
      return view(b);
    case "BOOL":
      return { length: n, at: (i) => (b[i] === 0 ? 0 : 1) };
    case "I64": {
      const a = new BigInt64Array(b.buffer, b.byteOffset, n);
      return { length: n, at: (i) => doubleOfInt64(a[i]!) };
    }
    case "U64": {
      const a = new BigUint64Array(b.buffer, b.byteOffset, n);
      return { length: n, at: (i) => doubleOfInt64(a[i]!) };
    }
    default:
      throw new Error(`numbers: ${type} has a loop of its own`);
  }
}

function toF32(bytes: Bytes, type: StoredType): Bytes {
  const n = bytes.byteLength / BYTES[type];
  const out = new Uint32Array(n);
  switch (type) {
    case "F16": {
      const b = aligned(bytes, 2);
      const from = new Uint16Array(b.buffer, b.byteOffset, n);
      const table = halfTable();
      for (let i = 0; i < n; i++) out[i] = table[from[i]!]!;
      break;
    }
    case "BF16": {
      const b = aligned(bytes, 2);
      const from = new Uint16Array(b.buffer, b.byteOffset, n);
      for (let i = 0; i < n; i++) out[i] = from[i]! << 16;
      break;
    }
    case "F8_E5M2": {
      const table = halfTable();
      for (let i = 0; i < n; i++) out[i] = table[bytes[i]! << 8]!;
      break;
    }
    case "F8_E4M3": {
      const table = e4m3Table();
      for (let i = 0; i < n; i++) out[i] = table[bytes[i]!]!;
      break;
    }
    default: {
      const from = numbers(bytes, type);
      const floats = new Float32Array(out.buffer);
      for (let i = 0; i < n; i++) floats[i] = from.at(i);
    }
  }
  return new Uint8Array(out.buffer);
}

function toF16(bytes: Bytes, type: StoredType): Bytes {
  const n = bytes.byteLength / BYTES[type];
  const out = new Uint16Array(n);
  switch (type) {
    case "F32": {
      const b = aligned(bytes, 4);
      const from = new Uint32Array(b.buffer, b.byteOffset, n);
      for (let i = 0; i < n; i++) {
        const x = from[i]!;
        const abs = x & 0x7fffffff;
        // Normal halves in place; the rest (zero, subnormal, too large, NaN) by the general function.
        out[i] =
          abs - 0x38800000 < 0x0efff000 && abs >= 0x38800000
            ? ((x >>> 16) & 0x8000) | ((abs + 0xfff + ((abs >>> 13) & 1) - 0x38000000) >>> 13)
            : halfOfBits(x);
      }
      break;
    }
    case "BF16": {
      const b = aligned(bytes, 2);
      const from = new Uint16Array(b.buffer, b.byteOffset, n);
      for (let i = 0; i < n; i++) out[i] = halfOfBits((from[i]! << 16) >>> 0);
      break;
    }
    case "F8_E5M2":
      for (let i = 0; i < n; i++) out[i] = bytes[i]! << 8;
      break;
    case "F8_E4M3": {
      const table = e4m3Table();
      for (let i = 0; i < n; i++) out[i] = halfOfBits(table[bytes[i]!]!);
      break;
    }
    default: {
      const from = numbers(bytes, type);
      for (let i = 0; i < n; i++) out[i] = halfOfDouble(from.at(i));
    }
  }
  return new Uint8Array(out.buffer);
}

/**
 * Stored elements as little-endian bytes of f32 or f16 (or unchanged). Where nothing is to convert, the same bytes come back,
 * not a copy.
 */
export function convertStored(bytes: Bytes, type: StoredType, as: ReadAs): Bytes {
  if (as === "stored" || (as === "f32" && type === "F32") || (as === "f16" && type === "F16")) return bytes;
  return as === "f32" ? toF32(bytes, type) : toF16(bytes, type);
}
