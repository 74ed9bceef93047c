// The loop's body: evaluations of the UNet on windows of frames, guidance, one step of the sampler. An evaluation is
// recorded once and replayed, so that it allocates and plans nothing: what changes (the window's frames, the timestep) is
// copied to fixed places before, what does not (the text's keys and values, the timesteps' embeddings) was computed once.

import { cast } from "../../kernels/elementwise.js";
import { copy, copyRows } from "../../kernels/copy.js";
import { countNonFinite } from "../../kernels/finite.js";
import { fuseFrames } from "../../kernels/fuse-frames.js";
import { guidance } from "../../kernels/latents.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import type { Device, Recording } from "../gpu/device.js";
import { fusionRuns, runsOf } from "../models/unet/frame-windows.js";
import type { UNetInputs, UNetMotionModel } from "../models/unet/unet.js";
import { TextStates, type PreparedText } from "../nn/attention.js";
import type { Scheduler } from "../schedulers/index.js";
import { Tensor } from "../tensor/tensor.js";
import type { Condition } from "./condition.js";
import { attentionWindows, parksSkips } from "./long.js";
import type { LatentSlots } from "./latents.js";
import type { Settings } from "./options.js";
import { isWhole, type Window, type WindowSchedule } from "./windows.js";

/** What the text says, with guidance the negative one first. */
export type TextConditioning =
  /** One text a clip: keys and values as the UNet's layers read them. */
  | { readonly per: "clip"; readonly keyValues: PreparedText }
  /** One text a frame: states `[clips·frames, tokens, d]` of the whole clip; their keys and values are made per window. */
  | { readonly per: "frame"; readonly states: Tensor };

/** What stays the same over a run's steps. */
export interface Conditioning {
  readonly text: TextConditioning;
  /** Embeddings of all timesteps, `[evaluations, 4·width]`. */
  readonly times: Tensor;
  /** Keys and values of each region's text. */
  readonly regions: readonly PreparedText[];
}

/** Frees a conditioning's tensors. */
export function disposeConditioning({ text, times, regions }: Conditioning): void {
  for (const t of text.per === "clip" ? text.keyValues.values() : [text.states]) t.dispose();
  for (const keyValues of regions) for (const t of keyValues.values()) t.dispose();
  times.dispose();
}

/** Everything that makes one run's loop. */
export interface DenoiserOptions {
  readonly unet: UNetMotionModel;
  /** Storage of activations. */
  readonly dtype: "f32" | "f16";
  readonly settings: Settings;
  readonly scheduler: Scheduler;
  /** Stays the caller's, as everything here. */
  readonly conditioning: Conditioning;
  readonly conditions: readonly Condition[];
  readonly windows: WindowSchedule;
  readonly slots: LatentSlots;
}

/** A recorded evaluation: its inputs and output lie in fixed places. */
interface Evaluation {
  /** Which conditions act in it. */
  readonly active: string;
  readonly output: Tensor;
  readonly recording: Recording;
}

/** Denoises the slots' `sample` step by step. */
export class Denoiser implements Disposable {
  readonly #options: DenoiserOptions;
  readonly #device: Device;
  readonly #guided: boolean;
  /** `[clips·frames, h, w, c]`: what the network is given. */
  readonly #input: Tensor;
  readonly #time: Tensor;
  /** `[clips·frames, tokens, d]`: the window's texts, where each frame has its own. */
  readonly #states: Tensor | undefined;
  #evaluation: Evaluation | undefined;
  /** The prediction for the clip while windows are added to it, and the frames that have any yet. */
  #output: Tensor | undefined;
  readonly #covered = new Set<number>();
  #begun = false;

  constructor(options: DenoiserOptions) {
    const { slots, dtype, conditioning, settings, windows } = options;
    const { device } = conditioning.times;
    this.#options = options;
    this.#device = device;
    this.#guided = settings.guidance > 1;
    const [, h, w, c] = slots.shape;
    const frames = windows(0)[0]!.frames.length * (this.#guided ? 2 : 1);
    this.#input = Tensor.empty(device, [frames, h, w, c], dtype, "network input");
    this.#time = Tensor.empty(device, [1, conditioning.times.shape[1]!], dtype, "time embedding");
    if (conditioning.text.per === "frame") {
      const { shape, dtype: type } = conditioning.text.states;
      this.#states = Tensor.empty(device, [frames, ...shape.slice(1)], type, "texts of the window");
    }
  }

  /** The windows of evaluation `index`. */
  windows(index: number): readonly Window[] {
    return this.#options.windows(index);
  }

  /** Records the network's evaluation `index` on one window; its prediction is added to the clip's. */
  evaluate(index: number, window: Window): void {
    const { dtype, settings, slots, scheduler } = this.#options;
    if (!this.#begun) slots.reserve(scheduler.timesteps.map((_, i) => scheduler.plan(i)));
    this.#begun = true;
    const prediction = this.#device.scope(() => {
      this.#feed(index, window);
      const eps = this.#network(index);
      const predicted = dtype === "f32" ? eps : cast(eps, "f32", "cast noise");
      const { length } = window.frames;
      return this.#guided
        ? guidance(predicted, settings.guidance)
        : predicted.reshape([length, ...slots.shape.slice(1)]);
    });
    if (isWhole(window, slots.shape[0])) {
      this.#keep(prediction);
      return;
    }
    if (!this.#output) this.#keep(Tensor.empty(this.#device, slots.shape, "f32", "fused prediction"));
    for (const run of fusionRuns(window, this.#covered)) fuseFrames(prediction, this.#output!, run, "fuse windows");
    for (const frame of window.frames) this.#covered.add(frame);
    prediction.dispose();
  }

  /**
   * Records the sampler's step after evaluation `index` on all windows; then `sample` and `x0` are the next ones. The
   * result counts values of the prediction that are not finite; it is the caller's.
   */
  step(index: number): Tensor {
    const { slots, scheduler } = this.#options;
    const output = this.#output;
    if (!output) throw new Error(`denoiser: step ${index} before the network was evaluated`);
    this.#output = undefined;
    this.#covered.clear();
    return this.#device.scope(() => {
      const check = countNonFinite(output);
      slots.set("output", output);
      slots.apply(scheduler.plan(index));
      return check;
    });
  }

  /** `evaluate` on every window, then `step`. */
  record(index: number): Tensor {
    for (const window of this.windows(index)) this.evaluate(index, window);
    return this.step(index);
  }

  dispose(): void {
    this.#forget();
    for (const t of [this.#input, this.#time, this.#states, this.#output]) t?.dispose();
    this.#output = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #keep(output: Tensor): void {
    this.#device.untrack(output);
    this.#output?.dispose();
    this.#output = output;
  }

  #forget(): void {
    this.#evaluation?.output.dispose();
    this.#evaluation?.recording.dispose();
    this.#evaluation = undefined;
  }

  /** Puts the window's frames (twice under guidance), their texts and the timestep where the network reads them. */
  #feed(index: number, { frames }: Window): void {
    const { scheduler, slots, dtype, conditioning, conditions } = this.#options;
    const scale = scheduler.inputScale(index);
    const sample = slots.get("sample");
    const scaled = scale === 1 ? sample : linearCombination([[sample, scale]], "scale input");
    const x = dtype === "f32" ? scaled : cast(scaled, dtype, "cast latents");
    const clips = this.#guided ? 2 : 1;
    for (let clip = 0; clip < clips; clip++) gather(x, 0, this.#input, clip * frames.length, frames);
    const { text, times } = conditioning;
    if (text.per === "frame")
      for (let clip = 0; clip < clips; clip++)
        gather(text.states, clip * slots.shape[0], this.#states!, clip * frames.length, frames);
    copy(times, index * this.#time.bytes, this.#time, 0, this.#time.bytes);
    for (const c of conditions) if (c.active(index)) c.feed(index, frames);
  }

  #network(index: number): Tensor {
    const { conditions } = this.#options;
    const acting = conditions.filter((c) => c.active(index));
    const active = conditions.map((c) => (acting.includes(c) ? "1" : "0")).join("");
    if (this.#evaluation?.active === active) this.#device.replay(this.#evaluation.recording);
    else {
      this.#forget(); // two recordings would take twice the memory; which conditions act changes once or twice a run
      const { result: output, recording } = this.#device.record(() => this.#record(acting));
      this.#device.untrack(output);
      this.#evaluation = { active, output, recording };
    }
    return this.#evaluation.output;
  }

  #record(acting: readonly Condition[]): Tensor {
    const { unet, settings, conditioning } = this.#options;
    const attention = attentionWindows(settings);
    return this.#device.scope(() => {
      const inputs: UNetInputs = {
        time: this.#time,
        text: conditioning.text.per === "clip" ? conditioning.text.keyValues : new TextStates(this.#states!),
        clip: {
          frames: this.#input.shape[0]! / (this.#guided ? 2 : 1),
          norm: settings.motionNorm,
          ...(attention && { windows: attention, parked: parksSkips(settings, unet.store.storage) }),
        },
      };
      const additions = acting.map((c) => c.record(this.#input, inputs));
      return unet.forward(this.#input, { ...inputs, additions });
    });
  }
}

/** Copies the entries `frames` of x's first dimension, counted from `fromRow`, to consecutive ones of y from `toRow` on. */
function gather(x: Tensor, fromRow: number, y: Tensor, toRow: number, frames: readonly number[]): void {
  for (const { at, frame, count } of runsOf(frames)) copyRows(x, fromRow + frame, y, toRow + at, count);
}
