// Prompt weighting of the text encoder's states.

import { specialize } from "../src/gpu/wgsl.js";
import { dims3, expectShape } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { units, widthOf } from "./vectors.js";

/**
 * How weights act on states z: "scale" multiplies (A1111's "No norm"), "mean" then restores the chunk's mean (A1111's
 * "Original"), "blend" goes from the empty prompt's states through z (ComfyUI).
 */
export type Emphasis = "scale" | "mean" | "blend";

/**
 * `z [chunks, tokens, channels]` by `weights` f32 `[chunks, tokens]`, in z's dtype. "blend" wants the states of the empty
 * prompt, `[1, tokens, channels]`.
 * @throws Error where shapes do not fit, or "blend" lacks the empty prompt
 */
export function emphasis(z: Tensor, weights: Tensor, mode: Emphasis, empty?: Tensor): Tensor {
  const { device, dtype } = z;
  const [chunks, tokens, channels] = dims3(z, "emphasis: z");
  expectShape(weights, [chunks, tokens], "emphasis: weights");
  if (mode === "blend" && !empty) throw new Error('emphasis: "blend" wants the states of the empty prompt');
  if (empty) expectShape(empty, [1, tokens, channels], "emphasis: empty");
  const width = widthOf(channels);
  const y = Tensor.empty(device, z.shape, dtype, "weighted prompt");
  const size = chunks * tokens * channels;
  device.dispatch({
    label: "emphasis",
    code: specialize(shaders.emphasis, {
      ...units(dtype, width, device.capabilities),
      WIDTH: `${width}u`,
      MEAN: mode === "mean",
      BLEND: mode === "blend",
    }),
    bindings: [z.binding(), weights.binding(), (empty ?? z).binding(), y.binding()],
    params: [tokens, channels / width],
    workgroups: [chunks, 1, 1],
    flops: 3 * size,
    bytes: 2 * z.bytes,
  });
  return y;
}
