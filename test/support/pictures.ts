// Comparing pictures, and following a run to its end.

import type { FramesEvent, GenerationEvent } from "../../src/pipelines/animatediff.js";

/** Peak signal-to-noise ratio in dB between 8-bit pictures: RGBA against RGB. */
export function psnr(rgba: Uint8Array, rgb: ArrayLike<number>): number {
  let error = 0;
  for (let p = 0; p < rgba.length / 4; p++)
    for (let k = 0; k < 3; k++) error += (rgba[4 * p + k]! - rgb[3 * p + k]!) ** 2;
  return 10 * Math.log10(255 ** 2 / Math.max(error / rgb.length, 1e-12));
}

/** The frames of a run. */
export async function framesOf(events: AsyncIterable<GenerationEvent>): Promise<FramesEvent> {
  let frames: FramesEvent | undefined;
  for await (const e of events) if (e.type === "frames") frames = e;
  if (!frames) throw new Error("the run ended without frames");
  return frames;
}
