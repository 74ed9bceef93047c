// What adapters add inside the UNet (ControlNet, SparseCtrl): the UNet's inputs, not its weights.

import type { Tensor } from "../../tensor/tensor.js";

/** One adapter's additions; where there are several, each is added. They stay their maker's. */
export interface UNetAdditions {
  /** To the skips, in the order in which the way down makes them: after conv_in, each layer and each downsampling. */
  readonly down?: readonly Tensor[];
  /** To the mid block's result. */
  readonly mid?: Tensor;
}
