// Prompt travel: texts at some frames of a clip, interpolated between them.

import { copyRows } from "../../kernels/copy.js";
import { cast } from "../../kernels/elementwise.js";
import { fuseFrames } from "../../kernels/fuse-frames.js";
import { Tensor } from "../tensor/tensor.js";
import type { LongSettings } from "./long.js";

/** A prompt and the frame at which it holds alone. */
export interface Stop {
  readonly frame: number;
  readonly prompt: string;
}

/** A run's prompts in the order of their frames; one, where it does not travel. */
export function stopsOf({ prompt, promptAt }: LongSettings & { readonly prompt: string }): Stop[] {
  const later = Object.entries(promptAt).map(([frame, text]) => ({ frame: Number(frame), prompt: text }));
  return [{ frame: 0, prompt }, ...later.toSorted((a, b) => a.frame - b.frame)];
}

/**
 * States `[frames, tokens, d]` out of those of the stops, `[1, tokens, d]` each: linear in between, constant after the
 * last (diffusers' default interpolation).
 */
export function interpolateStates(
  states: readonly Tensor[],
  stops: readonly Pick<Stop, "frame">[],
  frames: number,
): Tensor {
  const [first] = states;
  if (!first) throw new Error("prompt travel without any text");
  const { device, dtype } = first;
  return device.scope(() => {
    const y = Tensor.empty(device, [frames, ...first.shape.slice(1)], "f32", "texts along the clip");
    for (let frame = 0; frame < frames; frame++) {
      const i = stops.findLastIndex((s) => s.frame <= frame);
      const next = stops[i + 1];
      const share = next ? (frame - stops[i]!.frame) / (next.frame - stops[i]!.frame) : 0;
      fuseFrames(states[i]!, y, { from: 0, to: frame, weights: [1 - share], add: false });
      if (share > 0) fuseFrames(states[i + 1]!, y, { from: 0, to: frame, weights: [share], add: true });
    }
    return dtype === "f32" ? y : cast(y, "f16", "texts along the clip");
  });
}

/** `a`, `times` over, then `b`, along the first dimension. */
export function stack(a: Tensor, times: number, b: Tensor): Tensor {
  const rows = a.shape[0]!;
  const y = Tensor.empty(a.device, [rows * times + b.shape[0]!, ...a.shape.slice(1)], a.dtype, a.label);
  for (let i = 0; i < times; i++) copyRows(a, 0, y, i * rows, rows);
  copyRows(b, 0, y, rows * times, b.shape[0]!);
  return y;
}
