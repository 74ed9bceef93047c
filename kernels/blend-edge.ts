// Seams between tiles: the edge of a tile blended into that of its neighbour (diffusers' blend_v and blend_h).

import { specialize } from "../src/gpu/wgsl.js";
import { dims4 } from "../src/tensor/shape.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";

/**
 * Blends the first `extent` rows ("vertical") or columns ("horizontal") of `tile [f, h, w, c]`, in place, with the last
 * ones of `before`, the tile above or to the left; a shorter one of the two bounds the extent.
 * @throws Error where the tiles have no common edge
 */
export function blendEdge(
  before: Tensor,
  tile: Tensor,
  direction: "vertical" | "horizontal",
  extent: number,
  label = "blendEdge",
): void {
  const [frames, h, w, channels] = dims4(tile, "blendEdge: tile");
  const [framesB, hb, wb, channelsB] = dims4(before, "blendEdge: before");
  const vertical = direction === "vertical";
  if (frames !== framesB || channels !== channelsB || tile.dtype !== before.dtype || (vertical ? w !== wb : h !== hb))
    throw new Error(`blendEdge: ${String(before)} and ${String(tile)} have no common ${direction} edge`);
  const e = Math.min(extent, vertical ? Math.min(h, hb) : Math.min(w, wb));
  const { device } = tile;
  const [rows, width] = vertical ? [e, w] : [h, e];
  const size = frames * rows * width * channels;
  if (size === 0) return;
  device.dispatch({
    label,
    code: specialize(shaders["blend-edge"], { T: tile.dtype }),
    bindings: [before.binding(), tile.binding()],
    params: [frames, rows, width, channels, h, w, hb, wb, e, Number(vertical)],
    workgroups: grid(Math.ceil(size / 64), device.capabilities),
    flops: 4 * size,
    bytes: 3 * size * bytesPerElement(tile.dtype),
  });
}
