// A ControlNet or SparseCtrl in the denoising loop: its pictures' embeddings are computed once a run; at each evaluation it
// looks at the latents, a bounded number of frames at a time, and adds to the UNet's skips and middle.

import { countNonFinite } from "../../../kernels/finite.js";
import type { ControlMaps, ControlNetModel } from "../../models/controlnet/controlnet.js";
import type { Addition, UNetAdditions } from "../../models/unet/additions.js";
import type { UNetInputs } from "../../models/unet/unet.js";
import { TextStates, type CrossAttention, type TextKeyValues } from "../../nn/attention.js";
import { Tensor } from "../../tensor/tensor.js";
import type { Condition } from "../condition.js";
import { copyRows } from "../../../kernels/copy.js";
import { range, takeRows } from "./rows.js";
import { inSpan, type Span } from "./span.js";

/** Frames of a clip that a ControlNet sees at once: what it needs while it runs does not grow beyond these. */
const BATCH = 16;
/** Pixels that are embedded at once: a 512 × 512 frame. */
const EMBED_PIXELS = 2 ** 18;

/** Everything that makes one. */
export interface ControlConditionOptions extends Span {
  readonly network: ControlNetModel;
  readonly dtype: "f32" | "f16";
  readonly scale: number;
  /** Only the conditional half is controlled, deeper maps more than shallow ones (ControlNet's guess mode). */
  readonly guess: boolean;
  readonly clips: number;
  /** Frames that are evaluated together, and the latents' size. */
  readonly window: readonly [frames: number, h: number, w: number];
  readonly timesteps: readonly number[];
  /** Of each iteration. */
  readonly steps: readonly number[];
}

export class ControlCondition implements Condition {
  readonly #o: ControlConditionOptions;
  /** `[evaluations, 4·width]` */
  readonly #times: Tensor;
  /** `[1, 4·width]` */
  readonly #time: Tensor;
  /** What `embed` made of the run's pictures, `[pictures, h, w, width]`. */
  #embedded: Tensor | undefined;
  #pictureOf: (frame: number) => number = (frame) => frame;
  /** `[clips·frames, h, w, width]`: those of the frames under evaluation. */
  readonly #condition: Tensor;

  /** Records the timesteps' embeddings. */
  constructor(device: Tensor["device"], options: ControlConditionOptions) {
    this.#o = options;
    const { network, dtype, timesteps, window, guess, clips } = options;
    this.#times = network.timeEmbeddings(device, timesteps, dtype);
    this.#time = Tensor.empty(device, [1, this.#times.shape[1]!], dtype, "control: time embedding");
    const [frames, h, w] = window;
    const width = network.config.unet.blockOutChannels[0]!;
    this.#condition = Tensor.empty(device, [(guess ? 1 : clips) * frames, h, w, width], dtype, "control: condition");
  }

  /**
   * Records the embedding of `count` pictures, some at a time: `get(first, n)` gives n of them, `[n, H, W, channels]` of the
   * run's dtype. Frame f of the clip is controlled by picture `pictureOf(f)`. The result counts values that are not finite.
   */
  embed(count: number, get: (first: number, n: number) => Tensor, pictureOf: (frame: number) => number): Tensor {
    const { device } = this.#time;
    const { network, window } = this.#o;
    const [, h, w] = window;
    const batch = Math.max(1, Math.floor(EMBED_PIXELS / (h * w * network.factor ** 2)));
    this.#pictureOf = pictureOf;
    return device.scope(() => {
      const [, , , width] = this.#condition.shape;
      const all = Tensor.empty(device, [count, h, w, width!], this.#o.dtype, "control: embedded pictures");
      for (let first = 0; first < count; first += batch)
        device.scope(() => {
          const n = Math.min(batch, count - first);
          copyRows(network.embed(get(first, n)), 0, all, first, n);
        });
      device.untrack(all);
      this.#embedded = all;
      return countNonFinite(all);
    });
  }

  active(index: number): boolean {
    return this.#o.scale !== 0 && inSpan(this.#o, index, this.#o.steps);
  }

  feed(index: number, frames: readonly number[]): void {
    if (!this.#embedded) throw new Error("control: feed before the pictures were embedded");
    copyRows(this.#times, index, this.#time, 0, 1);
    for (let clip = 0; clip * frames.length < this.#condition.shape[0]!; clip++)
      for (const [i, frame] of frames.entries())
        copyRows(this.#embedded, this.#pictureOf(frame), this.#condition, clip * frames.length + i, 1);
  }

  record(x: Tensor, inputs: UNetInputs): UNetAdditions {
    const { network, guess, scale } = this.#o;
    const { frames } = inputs.clip;
    const all = x.shape[0]!;
    const first = guess ? all - frames : 0; // of x's rows
    const clips = (all - first) / frames;
    const maps = x.device.scope(() =>
      network.config.motion || frames <= BATCH
        ? this.#evaluate(x, range(all - first, first), range(all - first), inputs)
        : this.#inBatches(x, first, clips, inputs),
    );
    const scales = guess ? [...maps.down, maps.mid].map((_, i) => scale * 10 ** (i / maps.down.length - 1)) : undefined;
    const addition = (tensor: Tensor, i: number): Addition => ({
      tensor,
      scale: scales?.[i] ?? scale,
      ...(first > 0 && { to: "last" as const }),
    });
    return { down: maps.down.map(addition), mid: addition(maps.mid, maps.down.length) };
  }

  dispose(): void {
    for (const t of [this.#times, this.#time, this.#condition, this.#embedded]) t?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The network on rows `rows` of x, with rows `pictures` of the condition. */
  #evaluate(x: Tensor, rows: readonly number[], pictures: readonly number[], inputs: UNetInputs): ControlMaps {
    const { network } = this.#o;
    const take = (t: Tensor, wanted: readonly number[]) =>
      wanted.length === t.shape[0] ? t : takeRows(t, wanted, `${t.label}, part`);
    const text = textOf(network.crossAttentions, inputs.text, rows, x.shape[0]!);
    return network.forward(take(x, rows), take(this.#condition, pictures), {
      time: this.#time,
      text,
      clip: inputs.clip,
    });
  }

  /** The same, some frames of every clip at a time. */
  #inBatches(x: Tensor, first: number, clips: number, inputs: UNetInputs): ControlMaps {
    const { device } = x;
    const { frames } = inputs.clip;
    let whole: Tensor[] | undefined;
    for (let start = 0; start < frames; start += BATCH) {
      const count = Math.min(BATCH, frames - start);
      const rows = range(clips).flatMap((clip) => range(count, clip * frames + start));
      const made = device.scope(() => {
        const clip = { ...inputs.clip, frames: count };
        const maps = this.#evaluate(
          x,
          rows.map((r) => r + first),
          rows,
          { ...inputs, clip },
        );
        return [...maps.down, maps.mid];
      });
      whole ??= made.map((t) => Tensor.empty(device, [clips * frames, ...t.shape.slice(1)], t.dtype, t.label));
      for (const [i, t] of made.entries()) {
        for (let clip = 0; clip < clips; clip++) copyRows(t, clip * count, whole[i]!, clip * frames + start, count);
        t.dispose();
      }
    }
    return { down: whole!.slice(0, -1), mid: whole!.at(-1)! };
  }
}

/** What of a text is for some of n frames: one text a frame, or one a clip of which the rows' clips are taken. */
function textOf(
  layers: readonly CrossAttention[],
  text: TextKeyValues,
  rows: readonly number[],
  n: number,
): TextKeyValues {
  const partOf = (t: Tensor): Tensor => {
    const texts = t.shape[0]!;
    const wanted = texts === n ? rows : [...new Set(rows.map((r) => Math.floor((r * texts) / n)))];
    return wanted.length === texts ? t : takeRows(t, wanted);
  };
  if (text instanceof TextStates) return new TextStates(partOf(text.states));
  return new Map(layers.map((layer) => [layer, partOf(text.get(layer)!)]));
}
