// A checkpoint's tensors as they are written: chunk by chunk, floating-point ones in another type on request.

import { CheckpointError, quoted } from "../io/errors.js";
import type { TensorToWrite } from "../io/safetensors-writer.js";
import type { StoredType } from "../io/stored-types.js";
import type { WeightFile } from "../io/weight-files.js";

/** Types that floating-point tensors are written in. */
export type DTypeChoice = "f32" | "f16";

const FLOATS: ReadonlySet<StoredType> = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"]);

/** All tensors of a file, to be streamed. */
export function tensorsOf(file: WeightFile, dtype?: DTypeChoice): TensorToWrite[] {
  return [...file.entries()].map(({ name, shape, dtype: stored }): TensorToWrite => {
    const wanted = dtype === undefined || !FLOATS.has(stored) ? stored : dtype === "f32" ? "F32" : "F16";
    return { name, shape, dtype: wanted, data: () => pieces(file, name, wanted === stored ? undefined : dtype) };
  });
}

/**
 * A tensor's bytes in pieces.
 * @throws CheckpointError where a finite value leaves f16's range
 */
async function* pieces(file: WeightFile, name: string, dtype: DTypeChoice | undefined): AsyncGenerator<Uint8Array> {
  for await (const { bytes, element } of file.chunks(name, dtype ?? "stored")) {
    if (dtype === "f16") {
      const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
      const at = halves.findIndex((h) => (h & 0x7c00) === 0x7c00);
      if (at >= 0)
        throw new CheckpointError(
          `${file.name}: element ${element + at} of ${quoted(name)} is no number that f16 holds (beyond 65504, infinite or NaN); keep its type, or take --dtype f32`,
        );
    }
    yield bytes;
  }
}
