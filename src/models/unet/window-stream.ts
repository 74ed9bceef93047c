// Overlapping windows over a stream of frames (FreeNoise). Frames come in parts, in order; a window is attended to as soon as
// its last frame is there, and a frame goes on as soon as the last window it lies in was added to it. What must be there at
// once is a window and a part of frames, however long the clip: they lie in two rings, the inputs in the activations' type
// and the weighted sums in f32.

import { copyRows } from "../../../kernels/copy.js";
import { cast } from "../../../kernels/elementwise.js";
import { fuseFrames } from "../../../kernels/fuse-frames.js";
import { PART, rows } from "../../nn/rows.js";
import { consume } from "../../nn/step.js";
import { Tensor } from "../../tensor/tensor.js";
import { fusionRuns, runsOf, type Window } from "./frame-windows.js";

/** Takes the frames of a clip from `start` on, `[count, positions, c]`, and uses them up. */
export type Sink = (start: number, frames: Tensor) => void;

/** Attends to windows of one clip; what comes of its frames goes on to `sink`, in parts, in order. */
export class WindowStream {
  readonly #windows: readonly Window[];
  readonly #frames: number;
  readonly #attend: (window: Tensor) => Tensor;
  readonly #sink: Sink;
  /** Frames in a ring: frame f lies at f mod this. */
  readonly #length: number;
  #held: Tensor | undefined;
  #sums: Tensor | undefined;
  /** Places of the ring that hold sums. */
  readonly #covered = new Set<number>();
  /** Windows done, and frames that went on. */
  #done = 0;
  #gone = 0;

  /**
   * `windows` are equally long, in the order of their first frames, and end within the clip of `frames`; `attend` uses a
   * window up.
   */
  constructor(frames: number, windows: readonly Window[], attend: (window: Tensor) => Tensor, sink: Sink) {
    this.#frames = frames;
    this.#windows = windows;
    this.#attend = attend;
    this.#sink = sink;
    // Before a part comes there are fewer frames than a window and a part together, in whole parts: with it, one part more.
    this.#length = Math.min(frames, PART * (Math.ceil(windows[0]!.frames.length / PART) + 1));
  }

  /** The next part; the last one ends the clip. */
  readonly push: Sink = (start, frames) => {
    const { device, shape, dtype } = frames;
    const [count = 0, ...frame] = shape;
    this.#held ??= Tensor.empty(device, [this.#length, ...frame], dtype, "frames of windows");
    this.#sums ??= Tensor.empty(device, [this.#length, ...frame], "f32", "blended windows");
    copyRows(frames, 0, this.#held, start % this.#length, count);
    frames.dispose();
    const there = start + count;
    for (; this.#done < this.#windows.length; this.#done++) {
      const window = this.#windows[this.#done]!;
      if (window.frames.at(-1)! >= there) break;
      this.#add(window, this.#held, this.#sums);
    }
    const ready = this.#windows[this.#done]?.frames[0] ?? this.#frames;
    while (this.#gone < ready && (ready === this.#frames || ready - this.#gone >= PART)) this.#send(this.#sums, dtype === "f16");
  };

  #add({ frames, weights }: Window, held: Tensor, sums: Tensor): void {
    const { device, shape, dtype } = held;
    const places = frames.map((f) => f % this.#length);
    device.scope(() => {
      const window = Tensor.empty(device, [frames.length, ...shape.slice(1)], dtype, "window");
      for (const { at, frame, count } of runsOf(places)) copyRows(held, frame, window, at, count);
      const y = this.#attend(window);
      for (const run of fusionRuns({ frames: places, weights }, this.#covered)) fuseFrames(y, sums, run);
    });
    for (const place of places) this.#covered.add(place);
  }

  #send(sums: Tensor, half: boolean): void {
    const start = this.#gone;
    const count = Math.min(PART, this.#frames - start);
    const first = start % this.#length;
    const blended = rows(sums, first, count);
    const frames = half ? consume([blended], () => cast(blended, "f16", "blended windows")) : blended;
    this.#sink(start, frames);
    this.#gone += count;
    for (let i = 0; i < count; i++) this.#covered.delete(first + i);
  }
}
