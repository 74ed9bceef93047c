// Windows over a stream of frames: every frame goes on once, in order, as the blend of all windows it lies in, however
// windows and parts meet.

import { expect, it } from "vitest";
import { add } from "../../kernels/elementwise.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import { windowsAt, windowStarts } from "../../src/models/unet/frame-windows.js";
import { WindowStream } from "../../src/models/unet/window-stream.js";
import { eachPart, rows } from "../../src/nn/rows.js";
import { consume } from "../../src/nn/step.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { testDevice } from "../support/device.js";

it.each([
  [16, 16, 4],
  [33, 17, 4],
  [40, 32, 5],
  [65, 8, 8],
  [70, 24, 7],
  [97, 1, 1],
  [100, 100, 3],
])("%d frames in windows of %d, %d apart", async (frames, length, stride) => {
  const device = await testDevice();
  const windows = windowsAt(windowStarts(frames, length, stride), length, frames);
  // A window's k-th result is that frame plus k.
  const size = 4;
  const values = new TorchGenerator(3).randn(frames * size);
  const expected = new Float64Array(frames * size);
  for (const w of windows)
    for (const [k, frame] of w.frames.entries())
      for (let i = 0; i < size; i++) expected[frame * size + i]! += w.weights[k]! * (k + values[frame * size + i]!);

  const gone: number[] = [];
  const made = device.hold(() => {
    const x = Tensor.from(device, values, [frames, 1, size], "f32", "x");
    const places = Array.from({ length: length * size }, (_, i) => Math.floor(i / size));
    const k = Tensor.from(device, places, [length, 1, size], "f32", "places");
    const out: Tensor[] = [];
    const stream = new WindowStream(
      frames,
      windows,
      (window) => consume([window], () => add(window, k)),
      (start, part) => {
        gone.push(start, part.shape[0]!);
        out.push(linearCombination([[part, 1]])); // the ring's place is taken again
      },
    );
    eachPart(frames, frames, (start, count) => {
      stream.push(start, linearCombination([[rows(x, start, count), 1]]));
    });
    return out;
  });
  const found = (await Promise.all(made.result.map((t) => t.read()))).flatMap((v) => [...v]);
  made.dispose();
  const parts: number[] = [];
  eachPart(frames, frames, (start, count) => parts.push(start, count));
  expect(gone).toEqual(parts);
  const worst = Math.max(...found.map((v, i) => Math.abs(v - expected[i]!)));
  expect(found.length).toBe(frames * size);
  expect(worst).toBeLessThan(1e-5 * length);
});
