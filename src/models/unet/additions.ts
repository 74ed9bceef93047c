// What other networks add inside the UNet: ControlNets to the skips and the middle, image encoders and T2I-Adapters once
// per block on the way down.

import { addScaled } from "../../../kernels/add-scaled.js";
import type { AttentionAdditions } from "../../nn/attention.js";
import { consume } from "../../nn/step.js";
import type { Tensor } from "../../tensor/tensor.js";

/** One weighted map `[clips·frames, h, w, c]`, or one for a single clip that all clips share. */
export interface Addition {
  readonly tensor: Tensor;
  readonly scale: number;
  /** "last": only the last clip's frames get it (the conditional half, under guidance). Default "every". */
  readonly to?: "every" | "last";
}

/** What one network adds. The UNet reads the maps and leaves them to whoever made them. */
export interface UNetAdditions {
  /** One per skip, in the order of the way down: after conv_in, each layer, each downsampling. */
  readonly down?: readonly Addition[];
  /** To the middle block's result. */
  readonly mid?: Addition;
  /** One per down block, after its last layer's transformer, before that layer's motion module (AnimateLCM-I2V). */
  readonly features?: readonly Addition[];
  /** One per down block, to its last layer's result, behind the motion module: to that skip too (T2I-Adapter). */
  readonly outputs?: readonly Addition[];
  /** What the layers that read the text attend to besides (IP-Adapter). */
  readonly attention?: AttentionAdditions;
}

/** What meets the last layer of one down block. */
export type BlockAdditions = Readonly<Record<"features" | "outputs", readonly Addition[]>>;

/** What networks add to down block `block`. */
export function blockAdditions(additions: readonly UNetAdditions[], block: number): BlockAdditions {
  const of = (what: "features" | "outputs") => additions.flatMap((a) => a[what]?.[block] ?? []);
  return { features: of("features"), outputs: of("outputs") };
}

/** `x` with all of `additions`; x is used up. */
export function added(x: Tensor, additions: readonly (Addition | undefined)[], label: string): Tensor {
  let y = x;
  for (const a of additions)
    if (a) {
      const input = y;
      y = consume([input], () => addScaled(input, a.tensor, a.scale, { label, ...(a.to && { to: a.to }) }));
    }
  return y;
}

/** @throws Error where a network has another number of maps than this UNet has places */
export function checkAdditions(additions: readonly UNetAdditions[], skips: number, blocks: number): void {
  for (const { down, ...maps } of additions) {
    if (down && down.length !== skips)
      throw new Error(`UNet: ${down.length} control maps do not fit ${skips} skips; the control network is made for another base model`);
    for (const features of [maps.features, maps.outputs])
      if (features && features.length !== blocks)
        throw new Error(`UNet: ${features.length} feature maps do not fit ${blocks} down blocks; the adapter is made for another base model`);
  }
}
