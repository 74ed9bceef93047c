// Pictures as prompts: what a run asks of IP-Adapters, and the condition that this makes. A picture's tokens do not change
// over a run, so their keys and values are computed once, for all frames and steps.

import { cast } from "../../../kernels/elementwise.js";
import { copyRows } from "../../../kernels/copy.js";
import { countNonFinite } from "../../../kernels/finite.js";
import type { Picture } from "../../io/frames.js";
import { clipPixels } from "../../models/clip/vision-model.js";
import type { UNetAdditions } from "../../models/unet/additions.js";
import type { MoreKeyValues, CrossAttention } from "../../nn/attention.js";
import { Tensor } from "../../tensor/tensor.js";
import { prepared, type Condition } from "../condition.js";
import type { ConditionedRun } from "./conditions.js";
import type { IPAdapter } from "./ip-adapter.js";
import { checkSpan, inSpan, type Span } from "./span.js";

export interface ImagePromptOptions {
  readonly adapter: IPAdapter;
  /** One or several pictures; all are attended to. */
  readonly images: readonly Picture[];
  /** Default 1. */
  readonly scale?: number;
  /** The part of the steps in which it acts. Default 0 to 1. */
  readonly start?: number;
  readonly end?: number;
}

/** With defaults. */
export type ImagePromptSettings = Required<ImagePromptOptions>;

/** Fills in defaults. @throws Error for the first value that cannot work */
export function settleImagePrompts(
  prompts: readonly ImagePromptOptions[],
  run: { readonly steps: number; readonly dtype: "f32" | "f16" },
): ImagePromptSettings[] {
  return prompts.map((p) => {
    const s = { adapter: p.adapter, images: p.images, scale: p.scale ?? 1, start: p.start ?? 0, end: p.end ?? 1 };
    const { name, dtype } = p.adapter;
    if (dtype !== run.dtype)
      throw new Error(
        `${name} was loaded in ${dtype}, but the model in ${run.dtype}; load both with the same precision`,
      );
    if (s.images.length === 0) throw new Error(`${name} got no picture; give one (--ip-image)`);
    if (!Number.isFinite(s.scale)) throw new Error(`${name}: scale is ${s.scale}, expected a number`);
    checkSpan(s, run.steps, name);
    return s;
  });
}

class ImagePromptCondition implements Condition {
  readonly #attention: ReadonlyMap<CrossAttention, MoreKeyValues>;
  readonly #span: Span & { readonly scale: number };
  readonly #steps: readonly number[];

  constructor(
    attention: ReadonlyMap<CrossAttention, MoreKeyValues>,
    span: Span & { readonly scale: number },
    steps: readonly number[],
  ) {
    this.#attention = attention;
    this.#span = span;
    this.#steps = steps;
  }

  active(index: number): boolean {
    return this.#span.scale !== 0 && inSpan(this.#span, index, this.#steps);
  }

  feed(): void {
    // The same for every frame and step.
  }

  record(): UNetAdditions {
    return { attention: this.#attention };
  }

  [Symbol.dispose](): void {
    for (const { keyValues } of this.#attention.values()) keyValues.dispose();
  }
}

/** Encodes the pictures and computes the layers' keys and values; under guidance those of no picture first. */
export async function imagePromptCondition(p: ImagePromptSettings, run: ConditionedRun): Promise<Condition> {
  const { device, settings, steps } = run;
  const { adapter } = p;
  if (adapter.unet !== run.unet)
    throw new Error(`${adapter.name} was loaded for another model's UNet; load it for this one (loadIPAdapter)`);
  const { imageSize } = adapter.encoder.config;
  return adapter.awake(async () => {
    const { attention, counted } = device.scope(() => {
      const pictures = joinTokens(p.images.map((image) => adapter.tokens(clipPixels(image, imageSize))));
      const sides = [pictures];
      if (settings.guidance > 1) {
        const none = adapter.tokens(undefined);
        sides.unshift(joinTokens(p.images.map(() => none)));
      }
      const keyValues = sides.map((tokens) => adapter.keyValues(tokens));
      const joined = [...keyValues[0]!.keys()].map((layer) => {
        const [, tokens, width] = keyValues[0]!.get(layer)!.shape as [number, number, number];
        const both = Tensor.empty(device, [sides.length, tokens, width], pictures.dtype, "picture keys and values");
        for (const [i, side] of keyValues.entries()) copyRows(side.get(layer)!, 0, both, i, 1);
        return [layer, { keyValues: both, scale: p.scale }] as const;
      });
      const values = pictures.dtype === "f32" ? pictures : cast(pictures, "f32");
      return { attention: new Map(joined), counted: countNonFinite(values) };
    });
    return prepared(new ImagePromptCondition(attention, p, steps), async () => {
      using check = counted;
      await run.finite(check, `the image encoder of ${adapter.name}`);
    });
  });
}

/** Tokens `[1, n, width]` of several pictures, one after another. */
function joinTokens(parts: readonly Tensor[]): Tensor {
  const first = parts[0]!;
  const [, n = 0, width = 0] = first.shape;
  if (parts.length === 1) return first;
  const all = Tensor.empty(first.device, [parts.length, n, width], first.dtype, "picture tokens");
  for (const [i, part] of parts.entries()) copyRows(part, 0, all, i, 1);
  return all.reshape([1, parts.length * n, width]);
}
