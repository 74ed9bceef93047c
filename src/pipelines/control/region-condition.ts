// Regional prompts in the denoising loop: each region's keys and values, computed once a run, with its shares at every
// resolution of the UNet. Masks that move are brought to the frames under evaluation.

import { copyRows } from "../../../kernels/copy.js";
import type { UNetAdditions } from "../../models/unet/additions.js";
import type { UNetInputs } from "../../models/unet/unet.js";
import type { PreparedText } from "../../nn/attention.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Condition } from "../condition.js";
import { levelSizes, regionTurns, type RegionSettings } from "./regions.js";

export interface RegionConditionOptions {
  /** One a region; they stay the caller's. */
  readonly texts: readonly PreparedText[];
  readonly regions: RegionSettings;
  /** Pixels, and those per latent. */
  readonly size: { readonly width: number; readonly height: number };
  readonly factor: number;
  /** Levels of the UNet. */
  readonly levels: number;
  /** Frames that are evaluated together. */
  readonly window: number;
}

/** A region's shares at one resolution. */
export interface Shares {
  /** Of the whole clip, f32 `[1 or frames, positions]`. */
  readonly all: Tensor;
  /** Of the frames under evaluation; `all` where the same holds for every frame. */
  readonly place: Tensor;
}

/** One condition a region, in order. Uploads the shares. */
export function regionConditions(device: Tensor["device"], options: RegionConditionOptions): RegionCondition[] {
  const { texts, regions, size, factor, levels, window } = options;
  const shares = texts.map(() => new Map<number, Shares>());
  for (const [h, w] of levelSizes(size.height / factor, size.width / factor, levels)) {
    const { count, turns } = regionTurns(regions, [h, w], size);
    for (const [i, values] of turns.entries()) {
      if (shares[i]!.has(h * w)) continue; // 1 × 1 halves to itself
      const label = `region ${i + 1}: shares`;
      const all = Tensor.from(device, values, [count, h * w], "f32", label);
      const place = count === 1 ? all : Tensor.empty(device, [window, h * w], "f32", `${label} of the window`);
      shares[i]!.set(h * w, { all, place });
    }
  }
  return texts.map((text, i) => new RegionCondition(text, shares[i]!));
}

/** One region. */
export class RegionCondition implements Condition {
  readonly #text: PreparedText;
  /** By the number of positions. */
  readonly #shares: ReadonlyMap<number, Shares>;

  /** Takes ownership of `shares`; `text` stays the caller's. */
  constructor(text: PreparedText, shares: ReadonlyMap<number, Shares>) {
    this.#text = text;
    this.#shares = shares;
  }

  active(): boolean {
    return true;
  }

  feed(_index: number, frames: readonly number[]): void {
    for (const { all, place } of this.#shares.values())
      if (place !== all) for (const [i, frame] of frames.entries()) copyRows(all, frame, place, i, 1);
  }

  record(_x: Tensor, { clip }: UNetInputs): UNetAdditions {
    const shares = new Map([...this.#shares].map(([positions, { place }]) => [positions, place]));
    const more = (keyValues: Tensor) => ({ keyValues, shares, frames: clip.frames });
    return { attention: new Map([...this.#text].map(([layer, keyValues]) => [layer, more(keyValues)])) };
  }

  [Symbol.dispose](): void {
    for (const { all, place } of this.#shares.values()) for (const t of new Set([all, place])) t.dispose();
  }
}
