// Pictures larger than the VAE was trained on, or than memory holds at once, in overlapping tiles whose edges are blended
// (diffusers AutoencoderKL.tiled_decode and tiled_encode). Every tile is normalised by itself, so tiles are not exactly the
// whole; as in diffusers, a picture that fits one tile is not tiled.

import { blendEdge } from "../../../kernels/blend-edge.js";
import { copyRegion } from "../../../kernels/copy-region.js";
import { dims4 } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";

/** Share of a tile that overlaps with the next one. */
const OVERLAP = 0.25;

/** Sides of a tile before and after the network. */
export interface TileSizes {
  readonly input: number;
  readonly output: number;
}

/** Whether `[height, width]` takes more than one tile. */
export function needsTiles([height, width]: readonly [number, number], { input }: TileSizes): boolean {
  return height > input || width > input;
}

/**
 * `network` on overlapping tiles of `x [f, h, w, c]`, put together: `[f, h·scale, w·scale, channels]`, scale = output / input.
 * @throws Error where a tile's sides do not divide into overlap and rest
 */
export function inTiles(x: Tensor, sizes: TileSizes, channels: number, network: (tile: Tensor) => Tensor): Tensor {
  const [frames, height, width, c] = dims4(x, "inTiles: x");
  const { input, output } = sizes;
  const scale = output / input;
  const step = Math.floor(input * (1 - OVERLAP)); // from tile to tile, in x
  const extent = Math.floor(output * OVERLAP);
  const kept = output - extent; // of a tile, in the result
  if (step * scale !== kept)
    throw new Error(`tiles of ${input} become ${output}: their overlap of a quarter is no whole number in both`);
  const { device, dtype } = x;
  const y = Tensor.empty(device, [frames, height * scale, width * scale, channels], dtype, "tiles together");
  device.scope(() => {
    let above: Tensor[] = [];
    for (let top = 0; top < height; top += step) {
      const row: Tensor[] = [];
      for (let left = 0; left < width; left += step) {
        const size = [Math.min(input, height - top), Math.min(input, width - left)] as const;
        const tile = device.scope(() => {
          const piece = Tensor.empty(device, [frames, ...size, c], dtype, "tile");
          copyRegion(x, [top, left], piece, [0, 0], size, "copyRegion tile");
          return network(piece);
        });
        const before = above[row.length];
        if (before) blendEdge(before, tile, "vertical", extent);
        const neighbour = row.at(-1);
        if (neighbour) blendEdge(neighbour, tile, "horizontal", extent);
        const whole = [Math.min(kept, size[0] * scale), Math.min(kept, size[1] * scale)] as const;
        copyRegion(tile, [0, 0], y, [top * scale, left * scale], whole, "copyRegion tile");
        row.push(tile);
      }
      for (const tile of above) tile.dispose();
      above = row;
    }
  });
  return y;
}
