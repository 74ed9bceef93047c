// Conversions checked against their definition over all of f16 and around every rounding boundary.

import { describe, expect, it } from "vitest";
import { convertStored } from "../../src/io/stored-types.js";
import { fromHalfBits } from "../../src/tensor/dtype.js";

function half(values: Float32Array): Uint16Array {
  return new Uint16Array(convertStored(new Uint8Array(values.slice().buffer), "F32", "f16").slice().buffer);
}

describe("f16", () => {
  it("is read exactly, all 65,536 of them", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const read = new Float32Array(convertStored(new Uint8Array(all.buffer), "F16", "f32").buffer);
    expect(all.every((b, i) => Object.is(read[i], fromHalfBits(b)))).toBe(true);
    const back = half(read);
    expect(all.every((b, i) => back[i] === b || ((b & 0x7fff) > 0x7c00 && (back[i]! & 0x7fff) > 0x7c00))).toBe(true);
  });

  it("is rounded to nearest, ties to even, at and beside every midpoint", () => {
    const cases: number[] = [];
    const expected: number[] = [];
    for (let b = 0; b < 0x7c00; b++) {
      const low = fromHalfBits(b);
      const high = b === 0x7bff ? 65536 : fromHalfBits(b + 1);
      const middle = Math.fround((low + high) / 2);
      const bits = new Uint32Array(new Float32Array([middle]).buffer)[0]!;
      const near = new Float32Array(new Uint32Array([bits - 1, bits, bits + 1]).buffer);
      cases.push(...near);
      expected.push(b, b % 2 === 0 ? b : b + 1, b + 1);
    }
    expect([...half(new Float32Array(cases))]).toEqual(expected);
    expect([...half(new Float32Array(cases.map((v) => -v)))]).toEqual(expected.map((b) => b | 0x8000));
  });
});

describe("convertStored", () => {
  it("takes bytes on any boundary and leaves them as they are", () => {
    const bytes = new Uint8Array(17);
    bytes.set(new Uint8Array(new Float64Array([1.5, -2]).buffer), 1);
    const before = bytes.slice();
    expect([...new Float32Array(convertStored(bytes.subarray(1), "F64", "f32").buffer)]).toEqual([1.5, -2]);
    expect(bytes).toEqual(before);
    expect([...new Float32Array(convertStored(bytes.subarray(1), "BF16", "f32").buffer)].length).toBe(8);
  });

  it("copies nothing where nothing is to convert", () => {
    const bytes = new Uint8Array(8);
    expect(convertStored(bytes, "F16", "f16")).toBe(bytes);
    expect(convertStored(bytes, "F32", "f32")).toBe(bytes);
    expect(convertStored(bytes, "I64", "stored")).toBe(bytes);
  });
});
