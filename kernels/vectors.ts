// The units in which elementwise kernels and norms read and write memory: four elements at a time where the layout
// allows it. Shaders declare `alias V` (storage of a unit), `alias F` (the same in f32), `const WIDTH`, `fn unpack(V) -> F`
// and `fn pack(F) -> V` for single elements; these replacements widen them.

import type { Capabilities } from "../src/gpu/limits.js";
import type { Replacements } from "../src/gpu/wgsl.js";
import type { Binding } from "../src/gpu/work.js";
import { bytesPerElement, type DType } from "../src/tensor/dtype.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

/** Elements of a unit: 4 where `channels` divide by it, else 1. */
export function widthOf(...channels: readonly number[]): 1 | 4 {
  return channels.every((c) => c % 4 === 0) ? 4 : 1;
}

/**
 * Storage of `width` elements. f16 goes as pairs in words where the adapter computes no f16, and on software adapters,
 * which load lane by lane and so gain from fewer, wider words.
 * @throws Error for single f16 elements on an adapter without them
 */
export function unitType(dtype: DType, width: 1 | 4, capabilities: Capabilities): string {
  if (width === 1) {
    if (dtype === "f16" && !capabilities.f16)
      throw new Error(
        "single f16 elements want an adapter with shader-f16; use f32 or channels that are a multiple of 4",
      );
    return dtype;
  }
  return inWords(dtype, width, capabilities) ? "vec2<u32>" : `vec4<${dtype}>`;
}

/** Replacements for a shader that reads and writes units of `dtype`. */
export function units(dtype: DType, width: 1 | 4, capabilities: Capabilities): Replacements {
  return {
    V: unitType(dtype, width, capabilities),
    F: width === 4 ? "vec4f" : "f32",
    ...unpacking(dtype, width, capabilities),
    ...packing(dtype, width, capabilities),
  };
}

/** Replaces `unpack` where units are words. */
export function unpacking(dtype: DType, width: 1 | 4, capabilities: Capabilities): Replacements {
  return inWords(dtype, width, capabilities) ? { unpack: shaders["lib/unpack-half4"] } : {};
}

/** Replaces `pack` where units are words. */
export function packing(dtype: DType, width: 1 | 4, capabilities: Capabilities): Replacements {
  return inWords(dtype, width, capabilities) ? { pack: shaders["lib/pack-half4"] } : {};
}

function inWords(dtype: DType, width: 1 | 4, { f16, kind }: Capabilities): boolean {
  return dtype === "f16" && width === 4 && (!f16 || kind === "cpu");
}

/** A binding of elements `start … start + count`, begun at an aligned offset, with the number of units to skip there. */
export function window(
  t: Tensor,
  start: number,
  count: number,
  width: 1 | 4,
): { readonly binding: Binding; readonly skip: number } {
  const element = bytesPerElement(t.dtype);
  const from = start * element;
  const aligned = from - (from % t.device.capabilities.alignment);
  return {
    binding: t.binding(aligned, (start + count) * element - aligned),
    skip: (from - aligned) / (element * width),
  };
}

/** Elements of a run: as many as stay within a binding with what aligning its start may add; a multiple of 4. */
export function mostOfRun(dtype: DType, { maxBinding, alignment }: Capabilities): number {
  return Math.floor((maxBinding - alignment) / bytesPerElement(dtype) / 4) * 4;
}

/** Copies the elements before `end`. What lies behind them in the same word comes along: it is to be written after. */
export function copyHead(from: Tensor, to: Tensor, end: number): void {
  if (end === 0) return;
  const size = Math.ceil((end * bytesPerElement(from.dtype)) / 4) * 4;
  from.device.copy({ ...from.binding(), size }, { ...to.binding(), size });
}
