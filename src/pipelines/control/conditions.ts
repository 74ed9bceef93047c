// The conditions of a run, made from its options: what is computed once a run is computed here.

import type { Device } from "../../gpu/device.js";
import type { AutoencoderKL } from "../../models/vae/vae.js";
import type { ControlNetModel } from "../../models/controlnet/controlnet.js";
import type { UNetMotionModel } from "../../models/unet/unet.js";
import { vaeFactor } from "../../models/vae/config.js";
import type { CrossAttention, PreparedText } from "../../nn/attention.js";
import { Tensor } from "../../tensor/tensor.js";
import type { TorchGenerator } from "../../tensor/torch-generator.js";
import { prepared, type Condition } from "../condition.js";
import type { Course } from "../course.js";
import { FrameEncoder } from "../frame-encoder.js";
import { windowSchedule } from "../long.js";
import type { Settings } from "../options.js";
import { clipMoments, coverClip } from "../video-latents.js";
import { isWhole } from "../windows.js";
import { ControlCondition } from "./control-condition.js";
import { imageCondition, settleImage, type ImageEncoder, type ImageInputs, type ImageSettings } from "./image.js";
import {
  imagePromptCondition,
  settleImagePrompts,
  type ImagePromptOptions,
  type ImagePromptSettings,
} from "./image-prompt.js";
import { settleControls, type ControlledRun, type ControlOptions, type ControlSettings } from "./options.js";
import { toUnit, wayInto } from "./pictures.js";
import { regionConditions } from "./region-condition.js";
import { t2iCondition } from "./t2i-condition.js";
import { settleRegions, type RegionInputs, type RegionSettings } from "./regions.js";

/** What guides a run besides its own texts. */
export interface ControlInputs extends ImageInputs, RegionInputs {
  /** ControlNets, T2I-Adapters and SparseCtrl encoders, any number; what they add is summed. */
  readonly controls?: readonly ControlOptions[];
  /** Pictures as prompts, by IP-Adapters. */
  readonly imagePrompts?: readonly ImagePromptOptions[];
}

/** What the conditions of a run are made with; everything stays the caller's. */
export interface ConditionedRun {
  readonly device: Device;
  readonly dtype: "f32" | "f16";
  readonly unet: UNetMotionModel;
  readonly vae: AutoencoderKL;
  readonly settings: {
    readonly guidance: number;
    readonly frames: number;
    readonly width: number;
    readonly height: number;
    readonly vaeTiling: boolean;
  };
  /** Frames that are evaluated together, and whether those are always the clip's, in order. */
  readonly window: number;
  readonly whole: boolean;
  readonly timesteps: readonly number[];
  /** Steps of each FreeInit iteration; parts of the steps are counted in each anew. */
  readonly steps: readonly number[];
  /** Keys and values of the regions' texts; they outlive the conditions. */
  readonly regionTexts: readonly PreparedText[];
  /** The run's noise; drawn from before the first sample is. */
  readonly generator: TorchGenerator;
  /** Runs what is recorded; throws where `check` counts values that are not finite, naming the stage. */
  finite(check: Tensor, stage: string): Promise<void>;
}

/** What a run's control inputs are checked against, and which frames are evaluated together. */
export function controlledRun(
  parts: {
    readonly unet: UNetMotionModel;
    readonly dtype: "f32" | "f16";
    readonly imageEncoder?: ImageEncoder | undefined;
    readonly motionName?: string | undefined;
  },
  settings: Settings,
  course: Course,
  factor: number,
): ControlledRun & { readonly whole: boolean } {
  const { frames, width, height } = settings;
  const windows = course.timesteps.flatMap((_, i) => windowSchedule(settings)(course.indexOf(i)));
  return {
    frames,
    width,
    height,
    factor,
    steps: course.counts[0]!,
    window: windows[0]!.frames.length,
    whole: windows.every((w) => isWhole(w, frames)),
    unet: parts.unet.config,
    dtype: parts.dtype,
    imageEncoder: parts.imageEncoder,
    motion: parts.motionName,
  };
}

/** Control inputs with defaults, checked. */
export interface SettledInputs {
  readonly controls: readonly ControlSettings[];
  readonly image: ImageSettings | undefined;
  readonly imagePrompts: readonly ImagePromptSettings[];
  readonly regions: RegionSettings;
}

/** Fills in defaults. @throws Error for the first thing that cannot work, before anything is computed */
export function settleInputs(inputs: ControlInputs, run: ControlledRun): SettledInputs {
  return {
    controls: settleControls(inputs.controls ?? [], run),
    image: settleImage(inputs, run.imageEncoder, run.motion),
    imagePrompts: settleImagePrompts(inputs.imagePrompts ?? [], run),
    regions: settleRegions(inputs, run),
  };
}

/** What the text encoder's work is needed for besides: layers of control networks that read the run's text, and regions. */
export function textExtras({ controls, regions }: SettledInputs): {
  readonly readers: readonly CrossAttention[];
  readonly regions: readonly string[];
} {
  const readers = controls.flatMap(({ network }) =>
    network.kind === "t2i-adapter" ? [] : network.model.crossAttentions,
  );
  return { readers: [...new Set(readers)], regions: regions.regions.map((r) => r.prompt) };
}

/** The conditions of a run, in the caller's hands. @throws Error where a picture's values are not finite */
export async function makeConditions(
  { controls, image, imagePrompts, regions }: SettledInputs,
  run: ConditionedRun,
): Promise<Condition[]> {
  const { device, unet, vae, settings, window, regionTexts } = run;
  const [factor, levels] = [vaeFactor(vae.config), unet.config.blockOutChannels.length];
  // First of all: pictures' attention (IP-Adapter) adds to what the texts' is, blended.
  const made: Condition[] = [
    ...regionConditions(device, { texts: regionTexts, regions, size: settings, factor, levels, window }),
  ];
  try {
    if (image) made.push(await imageCondition(image, run));
    for (const c of controls) {
      const { network } = c;
      if (network.kind === "t2i-adapter") {
        made.push(await t2iCondition(c, network, run));
        continue;
      }
      const { model, name } = network;
      const condition = controlCondition(c, model, run);
      const embedding = async () => {
        using check = await embed(condition, c, model, run);
        await run.finite(check, wayInto(name));
      };
      made.push(await prepared(condition, embedding));
    }
    for (const p of imagePrompts) made.push(await imagePromptCondition(p, run));
    return made;
  } catch (error) {
    for (const condition of made) condition[Symbol.dispose]();
    throw error;
  }
}

function controlCondition(
  { scale, start, end, guess }: ControlSettings,
  network: ControlNetModel,
  run: ConditionedRun,
): ControlCondition {
  const { device, dtype, settings, vae, window, timesteps, steps } = run;
  const factor = vaeFactor(vae.config);
  return new ControlCondition(device, {
    network,
    dtype,
    scale,
    guess,
    start,
    end,
    timesteps,
    steps,
    clips: settings.guidance > 1 ? 2 : 1,
    window: [window, settings.height / factor, settings.width / factor],
  });
}

/** Records the embedding of a control's pictures. */
async function embed(
  condition: ControlCondition,
  c: ControlSettings,
  { config }: ControlNetModel,
  run: ConditionedRun,
): Promise<Tensor> {
  const { device, dtype, settings } = run;
  const clip = coverClip(c.frames, settings.width, settings.height);
  const pixels = (first: number, n: number) => toUnit(device, clip, first, n, { dtype, bgr: config.bgr });
  if (config.kind === "controlnet")
    return condition.embed(clip.count, pixels, clip.count === 1 ? () => 0 : (frame) => frame);
  // SparseCtrl: the first picture is an empty one, for the frames that are not given; a channel tells which are.
  const latents = config.embeddingWidths.length === 0 ? await meanLatents(c, run) : undefined;
  const [, h, w, channels] = latents
    ? [
        clip.count,
        settings.height / vaeFactor(run.vae.config),
        settings.width / vaeFactor(run.vae.config),
        config.channels,
      ]
    : [clip.count, settings.height, settings.width, config.channels];
  const plane = h * w;
  const width = channels + (config.mask ? 1 : 0);
  const get = (first: number, n: number): Tensor => {
    const values = new Float32Array(n * plane * width);
    for (let i = 0; i < n; i++) {
      const given = first + i - 1;
      if (given < 0) continue;
      for (let p = 0; p < plane; p++) {
        const to = (i * plane + p) * width;
        for (let k = 0; k < channels; k++)
          values[to + k] = latents
            ? latents[(given * plane + p) * channels + (config.bgr ? channels - 1 - k : k)]!
            : clip.rgba[(given * plane + p) * 4 + (config.bgr ? 2 - k : k)]! / 255;
        if (config.mask) values[to + channels] = 1;
      }
    }
    return Tensor.from(device, values, [n, h, w, width], dtype, "given frames");
  };
  return condition.embed(clip.count + 1, get, (frame) => c.at.indexOf(frame) + 1);
}

/** The mean latents of a control's pictures, scaled, f32 `[pictures, h, w, c]`: what SparseCtrl's RGB kind reads. */
async function meanLatents({ frames }: ControlSettings, run: ConditionedRun): Promise<Float32Array> {
  const { settings, vae } = run;
  const clip = coverClip(frames, settings.width, settings.height);
  using encoder = new FrameEncoder(run, { ...clip, frames: clip.count }, settings.vaeTiling);
  const moments = await clipMoments(encoder, clip, (check) => run.finite(check, "the VAE encoder"));
  const { latentChannels: c, scalingFactor } = vae.config;
  return Float32Array.from(
    { length: moments.length / 2 },
    (_, i) => moments[2 * c * Math.floor(i / c) + (i % c)]! * scalingFactor,
  );
}
