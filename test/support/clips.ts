// Clips of fixtures, and how close two are.

import type { Clip } from "../../src/io/frames.js";
import type { FramesEvent, GenerationEvent } from "../../src/pipelines/animatediff.js";
import type { Fixture } from "./fixtures.js";

/** A fixture's pictures u8 `[f, h, w, 3]` (or one `[h, w, 3]`) as a clip. */
export async function clipOf(fixture: Fixture, name: string): Promise<Clip> {
  const shape = fixture.shape(name);
  const [count = 0, height = 0, width = 0] = shape.length === 3 ? [1, ...shape] : shape;
  const rgb = await fixture.values(name);
  const rgba = new Uint8Array(count * height * width * 4).fill(255);
  for (let p = 0; p < rgb.length / 3; p++) for (let k = 0; k < 3; k++) rgba[4 * p + k] = rgb[3 * p + k]!;
  return { width, height, count, rgba };
}

/** A run's last event. */
export async function last(events: AsyncIterable<GenerationEvent>): Promise<FramesEvent> {
  let frames: FramesEvent | undefined;
  for await (const e of events) if (e.type === "frames") frames = e;
  return frames!;
}

/** Peak signal-to-noise ratio in dB between 8-bit pictures: RGBA against RGB. */
export function psnr(rgba: Uint8Array, rgb: ArrayLike<number>): number {
  let error = 0;
  for (let p = 0; p < rgba.length / 4; p++)
    for (let k = 0; k < 3; k++) error += (rgba[4 * p + k]! - rgb[3 * p + k]!) ** 2;
  return 10 * Math.log10(255 ** 2 / Math.max(error / rgb.length, 1e-12));
}
