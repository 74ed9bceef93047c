// The loop's body: one evaluation of the UNet, guidance, one step of the sampler. The evaluation is recorded at the first
// step and replayed at the others, so that it allocates and plans nothing; what does not change between steps (the text's
// keys and values, the embeddings of the timesteps) was computed before.

import { cast } from "../../kernels/elementwise.js";
import { countNonFinite } from "../../kernels/finite.js";
import { guidance } from "../../kernels/latents.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import type { Device, Recording } from "../gpu/device.js";
import type { UNetMotionModel } from "../models/unet/unet.js";
import type { TextKeyValues } from "../nn/attention.js";
import type { Scheduler } from "../schedulers/index.js";
import { Tensor } from "../tensor/tensor.js";
import type { LatentSlots } from "./latents.js";
import type { Settings } from "./options.js";

/** What stays the same over a run's steps. */
export interface Conditioning {
  /** The text as the UNet's layers read it; with guidance the negative first. */
  readonly text: TextKeyValues;
  /** Embeddings of all timesteps, `[evaluations, 4·width]`. */
  readonly times: Tensor;
}

/** A recorded evaluation: its inputs and output lie in fixed places. */
interface Evaluation {
  readonly output: Tensor;
  readonly recording: Recording;
}

/** Denoises the slots' `sample` step by step. */
export class Denoiser implements Disposable {
  readonly #unet: UNetMotionModel;
  readonly #dtype: "f32" | "f16";
  readonly #settings: Settings;
  readonly #scheduler: Scheduler;
  readonly #conditioning: Conditioning;
  readonly #slots: LatentSlots;
  readonly #guided: boolean;
  /** `[clips·frames, h, w, c]`: what the network is given. */
  readonly #input: Tensor;
  readonly #time: Tensor;
  #evaluation: Evaluation | undefined;

  constructor(
    device: Device,
    network: { readonly unet: UNetMotionModel; readonly dtype: "f32" | "f16" },
    settings: Settings,
    scheduler: Scheduler,
    conditioning: Conditioning,
    slots: LatentSlots,
  ) {
    this.#unet = network.unet;
    this.#dtype = network.dtype;
    this.#settings = settings;
    this.#scheduler = scheduler;
    this.#conditioning = conditioning;
    this.#slots = slots;
    this.#guided = settings.guidance > 1;
    const [frames, h, w, c] = slots.shape;
    this.#input = Tensor.empty(device, [this.#guided ? 2 * frames : frames, h, w, c], network.dtype, "network input");
    this.#time = Tensor.empty(device, [1, conditioning.times.shape[1]!], network.dtype, "time embedding");
  }

  /**
   * Records evaluation `index` and the sampler's step after it; then `sample` and `x0` are the next ones. The result
   * counts values of the prediction that are not finite; it is the caller's.
   */
  record(index: number): Tensor {
    const { device } = this.#input;
    return device.scope(() => {
      this.#feed(index);
      const eps = this.#evaluate();
      const predicted = this.#dtype === "f32" ? eps : cast(eps, "f32", "cast noise");
      const output = this.#guided ? guidance(predicted, this.#settings.guidance) : predicted.reshape(this.#slots.shape);
      const check = countNonFinite(output);
      this.#slots.set("output", output);
      this.#slots.apply(this.#scheduler.plan(index));
      return check;
    });
  }

  dispose(): void {
    this.#evaluation?.output.dispose();
    this.#evaluation?.recording.dispose();
    this.#evaluation = undefined;
    this.#input.dispose();
    this.#time.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Puts the scaled sample (twice under guidance) and the timestep's embedding where the network reads them. */
  #feed(index: number): void {
    const scale = this.#scheduler.inputScale(index);
    const sample = this.#slots.get("sample");
    const scaled = scale === 1 ? sample : linearCombination([[sample, scale]], "scale input");
    const x = this.#dtype === "f32" ? scaled : cast(scaled, this.#dtype, "cast latents");
    copy(x, 0, this.#input, 0, x.bytes);
    if (this.#guided) copy(x, 0, this.#input, x.bytes, x.bytes);
    const { times } = this.#conditioning;
    copy(times, index * this.#time.bytes, this.#time, 0, this.#time.bytes);
  }

  #evaluate(): Tensor {
    const { device } = this.#input;
    if (this.#evaluation) device.replay(this.#evaluation.recording);
    else {
      const { frames, motionNorm } = this.#settings;
      const { result: output, recording } = device.record(() =>
        this.#unet.forward(this.#input, {
          time: this.#time,
          text: this.#conditioning.text,
          clip: { frames, norm: motionNorm },
        }),
      );
      device.untrack(output);
      this.#evaluation = { output, recording };
    }
    return this.#evaluation.output;
  }
}

/** Copies a range of bytes between tensors. */
export function copy(from: Tensor, fromByte: number, to: Tensor, toByte: number, bytes: number): void {
  const [a, b] = [from.binding(), to.binding()];
  from.device.copy(
    { ...a, offset: a.offset + fromByte, size: bytes },
    { ...b, offset: b.offset + toByte, size: bytes },
  );
}
