// Reference values dumped by test/reference/*.py as safetensors files of F16 and F32 tensors.

import { readFileSync } from "node:fs";
import { fromHalfBits } from "../../src/tensor/dtype.js";

/** A stored tensor; f16 widened to f32. */
export interface Stored {
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** Reads `test/reference/fixtures/<name>.safetensors`; the result gives the tensor of a name and throws where there is none. */
export function fixture(name: string): (tensor: string) => Stored {
  const file = readFileSync(new URL(`../reference/fixtures/${name}.safetensors`, import.meta.url));
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start)) as Record<
    string,
    { readonly dtype: string; readonly shape: readonly number[]; readonly data_offsets: readonly [number, number] }
  >;
  return (tensor) => {
    const entry = header[tensor];
    if (!entry) throw new Error(`${name}.safetensors has no tensor "${tensor}"`);
    const { dtype, shape, data_offsets } = entry;
    const bytes = Uint8Array.from(file.subarray(start + data_offsets[0], start + data_offsets[1])).buffer;
    return {
      shape,
      values: dtype === "F16" ? Float32Array.from(new Uint16Array(bytes), fromHalfBits) : new Float32Array(bytes),
    };
  };
}
