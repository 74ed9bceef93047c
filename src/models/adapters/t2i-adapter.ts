// T2I-Adapter (Mou et al. 2023; diffusers T2IAdapter): a picture, folded so that its pixels become channels at the latents'
// size, to one map per level of the UNet's way down. It reads neither latents nor text: its maps are the same at every step.

import type { Weights } from "../../nn/weights.js";
import type { Tensor } from "../../tensor/tensor.js";
import { FeatureAdapter, type FeatureAdapterConfig } from "./feature-adapter.js";
import { LightAdapter } from "./light-adapter.js";

export interface T2IAdapterConfig extends FeatureAdapterConfig {
  readonly form: "full" | "light";
  /** Of the picture: 3, or 1 for luminance. */
  readonly pictureChannels: 1 | 3;
  /** Pixels that are folded into one place, in each direction; `inChannels` is pictureChannels · factor². */
  readonly factor: number;
}

/** Reads an adapter's sizes off its tensors, in the original names. @throws Error naming the one that is missing or odd */
export function t2iAdapterConfig(name: string, entries: Iterable<{ readonly name: string; readonly shape: readonly number[] }>): T2IAdapterConfig {
  const shapes = new Map([...entries].map((e) => [e.name, e.shape]));
  const form = shapes.has("conv_in.weight") ? "full" : "light";
  const first = form === "full" ? "conv_in.weight" : "body.0.in_conv.weight";
  const inChannels = shapes.get(first)?.[1] ?? 0;
  const pictureChannels = ([1, 3] as const).find((c) => Number.isInteger(Math.log2(Math.sqrt(inChannels / c))));
  if (!pictureChannels) throw new Error(`${name}: ${first} takes ${inChannels} channels, which are no picture's folded into squares`);
  const list = (entry: (i: number) => string, axis: number): number[] => {
    const values: number[] = [];
    for (let shape = shapes.get(entry(0)); shape; shape = shapes.get(entry(values.length))) values.push(shape[axis] ?? 0);
    return values;
  };
  const common = { form, inChannels, pictureChannels, factor: Math.sqrt(inChannels / pictureChannels) } as const;
  if (form === "light") {
    const channels = list((i) => `body.${i}.out_conv.weight`, 0);
    return { ...common, channels, blocks: list((i) => `body.0.body.${i}.block1.weight`, 0).length };
  }
  const widths = list((i) => `body.${i}.block1.weight`, 0);
  const other = widths.findIndex((w) => w !== widths[0]);
  const blocks = other === -1 ? widths.length : other;
  return { ...common, blocks, channels: widths.filter((_, i) => i % blocks === 0) };
}

export class T2IAdapterModel {
  readonly config: T2IAdapterConfig;
  readonly #network: FeatureAdapter | LightAdapter;

  constructor(w: Weights, config: T2IAdapterConfig) {
    this.config = config;
    this.#network = config.form === "full" ? new FeatureAdapter(w, config) : new LightAdapter(w, config);
  }

  /** `x [frames, h, w, inChannels]` from `foldPixels` → one map a level, each half the size of the one before, rounded up. */
  forward(x: Tensor): Tensor[] {
    return this.#network.forward(x);
  }
}

/**
 * Pictures `[frames, height, width, c]`, their sides multiples of `factor`, to `[frames, h, w, c · factor²]`: a channel's pixels
 * lie next to each other, row by row (torch.nn.PixelUnshuffle).
 */
export function foldPixels(
  x: Float32Array,
  [frames, height, width, c]: readonly [number, number, number, number],
  factor: number,
): Float32Array<ArrayBuffer> {
  const [h, w, n] = [height / factor, width / factor, c * factor * factor];
  const y = new Float32Array(frames * h * w * n);
  for (let f = 0; f < frames; f++)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const place = (f * h + Math.floor(row / factor)) * w + Math.floor(column / factor);
        const within = (row % factor) * factor + (column % factor);
        for (let k = 0; k < c; k++)
          y[place * n + k * factor * factor + within] = x[((f * height + row) * width + column) * c + k]!;
      }
  return y;
}
