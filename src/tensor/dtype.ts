// Element types of tensors and their host-side arrays.

/** Element types that tensors on the device have. f16 is stored as 2 bytes whether or not WGSL can compute with it. */
export type DType = "f32" | "f16" | "u32" | "i32";

/** Bytes per element. */
export function bytesPerElement(dtype: DType): number {
  return dtype === "f16" ? 2 : 4;
}

const words = new Uint32Array(1);
const float = new Float32Array(words.buffer);

/** The nearest f16 (ties to even) of a number, as its 16 bits. NaN stays NaN; what is too large becomes infinity. */
export function toHalfBits(value: number): number {
  float[0] = value;
  const x = words[0]!;
  const sign = (x >>> 16) & 0x8000;
  const abs = x & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7e00;
  if (abs >= 0x477ff000) return sign | 0x7c00;
  if (abs < 0x38800000) {
    // Subnormal halves are multiples of 2^-24: let f32 addition do the rounding.
    words[0] = abs;
    float[0] = float[0]! + 0.5;
    return sign | (words[0]! - 0x3f000000);
  }
  const rounded = abs + 0xfff + ((abs >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The values of all f16, made when first wanted. */
let valueOfHalf: Float32Array | undefined;

/** The value of an f16 given by its 16 bits. */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Values as the bytes of `dtype`. */
export function encode(values: ArrayLike<number>, dtype: DType): Uint8Array<ArrayBuffer> {
  switch (dtype) {
    case "f32":
      return new Uint8Array(Float32Array.from(values).buffer);
    case "u32":
      return new Uint8Array(Uint32Array.from(values).buffer);
    case "i32":
      return new Uint8Array(Int32Array.from(values).buffer);
    case "f16": {
      const bits = new Uint16Array(values.length);
      for (let i = 0; i < bits.length; i++) bits[i] = toHalfBits(values[i]!);
      return new Uint8Array(bits.buffer);
    }
  }
}

/** The values in a buffer of `dtype` elements; floats as f32. */
export function decode(
  data: ArrayBuffer,
  dtype: DType,
): Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  switch (dtype) {
    case "f32":
      return new Float32Array(data);
    case "u32":
      return new Uint32Array(data);
    case "i32":
      return new Int32Array(data);
    case "f16": {
      const bits = new Uint16Array(data);
      const values = new Float32Array(bits.length);
      valueOfHalf ??= Float32Array.from({ length: 65536 }, (_, i) => fromHalfBits(i));
      for (let i = 0; i < bits.length; i++) values[i] = valueOfHalf[bits[i]!]!;
      return values;
    }
  }
}
