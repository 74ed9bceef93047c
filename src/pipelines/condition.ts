// What adapters (ControlNet, T2I-Adapter, SparseCtrl, the image encoder of AnimateLCM-I2V) are to the denoising loop.
// The loop records the network once and replays it; a condition's own network is recorded with it, and what changes from
// window to window it copies to fixed places before each evaluation.

import type { UNetAdditions } from "../models/unet/additions.js";
import type { UNetInputs } from "../models/unet/unet.js";
import type { Tensor } from "../tensor/tensor.js";

/** Something besides the text that guides a run; made for the run, disposed with it. */
export interface Condition extends Disposable {
  /** Whether it acts at evaluation `index` of `timesteps`; evaluations with other answers are recorded anew. */
  active(index: number): boolean;
  /**
   * Copies what belongs to these frames of the clip to where the recorded evaluation reads it. Called before each
   * evaluation in which it acts, the first included; `frames` has the same length at every call of a run.
   */
  feed(index: number, frames: readonly number[]): void;
  /**
   * Records its network on the UNet's input `x [clips·frames, h, w, c]` (under guidance the unconditional half first), and
   * returns what the UNet adds. Called inside `device.record`: twice, and alike both times.
   */
  record(x: Tensor, inputs: UNetInputs): UNetAdditions;
}

/** The condition when `prepare` has done what it takes before its first evaluation; disposed where that fails. */
export async function prepared<C extends Condition>(condition: C, prepare: () => Promise<void>): Promise<C> {
  try {
    await prepare();
    return condition;
  } catch (error) {
    condition[Symbol.dispose]();
    throw error;
  }
}
