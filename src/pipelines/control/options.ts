// What a run can be asked for besides its text: pictures that control it. Checked here, before anything is computed.

import type { Clip } from "../../io/frames.js";
import type { ControlNetModel } from "../../models/controlnet/controlnet.js";
import type { UNetConfig } from "../../models/unet/config.js";
import type { ImageEncoder } from "./image.js";
import { checkFits, type ControlNetwork } from "./network.js";
import { checkSpan } from "./span.js";

/** Pictures that a ControlNet, a T2I-Adapter or a SparseCtrl encoder reads. */
export interface ControlOptions {
  readonly network: ControlNetwork;
  /**
   * ControlNet and T2I-Adapter: a picture per frame, or one for all. SparseCtrl: a picture per entry of `at`. Scaled to cover the run's size by
   * PIL's Lanczos filter and cut around their middle; of the same proportions, they come out as diffusers' own.
   */
  readonly frames: Clip;
  /** SparseCtrl: the frames of the clip that the pictures stand for, from 0 on. */
  readonly at?: readonly number[];
  /** Default 1. */
  readonly scale?: number;
  /** The part of the steps in which it acts: step i of n where i/n ≥ start and (i+1)/n ≤ end. Default 0 to 1. */
  readonly start?: number;
  readonly end?: number;
  /** ControlNet's guess mode: under guidance only the conditional half is controlled, deep maps more than shallow ones. */
  readonly guess?: boolean;
}

/** With defaults. */
export interface ControlSettings extends Required<Omit<ControlOptions, "at">> {
  readonly at: readonly number[];
}

/** What the checks are made against. */
export interface ControlledRun {
  readonly steps: number;
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  /** Pixels per latent. */
  readonly factor: number;
  /** Frames that are evaluated together. */
  readonly window: number;
  readonly unet: UNetConfig;
  readonly dtype: "f32" | "f16";
  /** What the motion modules' file carries besides, and its name. */
  readonly imageEncoder: ImageEncoder | undefined;
  readonly motion: string | undefined;
}

/** Fills in defaults. @throws Error for the first value that cannot work, naming both sides */
export function settleControls(controls: readonly ControlOptions[], run: ControlledRun): ControlSettings[] {
  return controls.map((c) => {
    const { network, frames } = c;
    const { name } = network;
    checkFits(network, run);
    const s = {
      network,
      frames,
      at: c.at ?? [],
      scale: c.scale ?? 1,
      start: c.start ?? 0,
      end: c.end ?? 1,
      guess: c.guess ?? false,
    };
    if (!Number.isFinite(s.scale)) throw new Error(`${name}: scale is ${s.scale}, expected a number`);
    checkSpan(s, run.steps, name);
    if (network.kind === "sparse") checkSparse(s, network, run);
    else {
      const kind = network.kind === "controlnet" ? "ControlNet" : "T2I-Adapter";
      if (c.at) throw new Error(`${name} is a ${kind} and reads a picture for every frame; "at" is SparseCtrl's`);
      if (s.guess && network.kind === "t2i-adapter")
        throw new Error(`${name} is a T2I-Adapter, which has no guess mode; that is ControlNet's`);
      if (frames.count !== 1 && frames.count !== run.frames)
        throw new Error(
          `${name} got ${frames.count} pictures for ${run.frames} frames; give one for each, or one for all`,
        );
    }
    return s;
  });
}

function checkSparse(
  { at, frames }: ControlSettings,
  { name, model }: { readonly name: string; readonly model: ControlNetModel },
  { frames: count, window }: ControlledRun,
): void {
  if (at.length !== frames.count)
    throw new Error(
      `${name} got ${frames.count} pictures for ${at.length} frames of the clip; name a frame for each picture (at)`,
    );
  const odd = at.find((i, k) => !Number.isInteger(i) || i < 0 || i >= count || at.indexOf(i) !== k);
  if (odd !== undefined)
    throw new Error(`${name}: frame ${odd} cannot be given: expected different whole numbers from 0 to ${count - 1}`);
  const positions = model.config.motion?.maxFrames ?? window;
  if (window > positions)
    throw new Error(
      `${name} knows ${positions} frames, but ${window} are evaluated together; ask for at most ${positions}`,
    );
}
