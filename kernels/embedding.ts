// Token and position embedding. CLIP's table in f32 exceeds the binding limit of many devices: it is bound by row ranges.

import { specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims2, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { packing, unitType, unpacking, widthOf, window } from "./vectors.js";

/**
 * `table[ids[i]] + positions[i mod P]` → `[count, channels]` in `dtype` (torch.nn.Embedding, twice). An index beyond the
 * table leaves its row undefined (or, with `into`, as it is there): check ids on the host.
 */
export function embedding(
  ids: Tensor,
  table: Tensor,
  positions: Tensor | undefined,
  dtype: "f32" | "f16",
  label = "embedding",
  into?: Tensor,
): Tensor {
  const { device } = table;
  const [rows, channels] = dims2(table, "embedding: table");
  const count = ids.size;
  if (ids.dtype !== "u32") throw new Error(`embedding: ids must be u32, got ${String(ids)}`);
  if (positions) {
    expectShape(positions, [dims2(positions, "embedding: positions")[0], channels], "embedding: positions");
    if (positions.dtype !== table.dtype)
      throw new Error(`embedding: table ${String(table)} and positions ${String(positions)} must have one dtype`);
  }
  const limits = device.capabilities;
  if (into && into.dtype !== dtype) throw new Error(`embedding: cannot write ${dtype} into ${String(into)}`);
  if (into) expectShape(into, [count, channels], "embedding: into");
  const y = into ?? Tensor.empty(device, [count, channels], dtype, label);
  const width = widthOf(channels);
  const rowBytes = channels * bytesPerElement(table.dtype);
  const most = Math.floor((limits.maxBinding - limits.alignment) / rowBytes);
  const code = specialize(shaders.embedding, {
    A: unitType(table.dtype, width, limits),
    V: unitType(dtype, width, limits),
    F: width === 4 ? "vec4f" : "f32",
    ...unpacking(table.dtype, width, limits),
    ...packing(dtype, width, limits),
  });
  for (let first = 0; first < rows; first += most) {
    const bound = Math.min(most, rows - first);
    const { binding, skip } = window(table, first * channels, bound * channels, width);
    device.dispatch({
      label,
      code,
      bindings: [ids.binding(), binding, (positions ?? table).binding(0, positions?.bytes ?? rowBytes), y.binding()],
      params: [count, channels / width, positions?.shape[0] ?? 0, first, bound, skip],
      workgroups: grid(Math.ceil((count * channels) / width / 64), limits),
      flops: count * channels,
      bytes: 2 * count * rowBytes,
    });
  }
  return y;
}
