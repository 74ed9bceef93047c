// Maps that are added once per down block (AnimateLCM-I2V's image encoder, T2I-Adapter): they depend neither on the timestep nor
// on the text, so they are computed once a run and only brought to their places.

import { countNonFinite } from "../../../kernels/finite.js";
import type { UNetAdditions } from "../../models/unet/additions.js";
import type { UNetInputs } from "../../models/unet/unet.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Condition } from "../condition.js";
import { copyRows } from "../../../kernels/copy.js";
import { inSpan, type Span } from "./span.js";

export interface FeatureConditionOptions extends Span {
  readonly scale: number;
  /** Where they are added: see UNetAdditions. */
  readonly to: "features" | "outputs";
  /** Frames that are evaluated together, and whether those are always the clip's, in order. */
  readonly window: number;
  readonly whole: boolean;
  /** Evaluations of the run. */
  readonly steps: readonly number[];
  /** Maps that are computed: one a frame, or one for all. */
  readonly count: number;
  /** Maps computed at once. */
  readonly batch: number;
}

export class FeatureCondition implements Condition {
  readonly #o: FeatureConditionOptions;
  /** One per level: `[count, h, w, c]`. */
  #maps: readonly Tensor[] = [];
  /** The same for the frames under evaluation; the maps themselves where those never change. */
  #places: readonly Tensor[] = [];

  constructor(options: FeatureConditionOptions) {
    this.#o = options;
  }

  /** Records the maps of all pictures, some at a time: `get(first, n)` makes those of n of them. The result counts values that are not finite. */
  compute(device: Tensor["device"], get: (first: number, n: number) => readonly Tensor[]): Tensor {
    const { count, batch, window, whole } = this.#o;
    return device.scope(() => {
      for (let first = 0; first < count; first += batch)
        device.scope(() => {
          const n = Math.min(batch, count - first);
          const made = get(first, n);
          if (this.#maps.length === 0) {
            this.#maps = made.map((t) => Tensor.empty(device, [count, ...t.shape.slice(1)], t.dtype, "features"));
            for (const t of this.#maps) device.untrack(t);
          }
          for (const [i, t] of made.entries()) copyRows(t, 0, this.#maps[i]!, first, n);
        });
      if (count === 1 || whole) this.#places = this.#maps;
      else {
        this.#places = this.#maps.map((t) =>
          Tensor.empty(device, [window, ...t.shape.slice(1)], t.dtype, "features, window"),
        );
        for (const t of this.#places) device.untrack(t);
      }
      return countNonFinite(this.#maps.at(-1)!);
    });
  }

  active(index: number): boolean {
    return this.#o.scale !== 0 && inSpan(this.#o, index, this.#o.steps);
  }

  feed(_index: number, frames: readonly number[]): void {
    if (this.#places === this.#maps) return;
    for (const [level, place] of this.#places.entries())
      for (const [i, frame] of frames.entries()) copyRows(this.#maps[level]!, frame, place, i, 1);
  }

  record(_x: Tensor, _inputs: UNetInputs): UNetAdditions {
    return { [this.#o.to]: this.#places.map((tensor) => ({ tensor, scale: this.#o.scale })) };
  }

  dispose(): void {
    for (const t of new Set([...this.#maps, ...this.#places])) t.dispose();
    this.#maps = this.#places = [];
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
