// Where a word of the prompt acts: the weights that the UNet's cross-attentions give its tokens, over positions and frames.
// Softmax weights are never stored; they are read out by attending once more to the same keys, with values that are 1 for
// the word's tokens and 0 for all others. A run that does not ask for it records nothing of this.

import { copy } from "../../kernels/copy.js";
import { linear, packLinear, type PackedLinear } from "../../kernels/linear.js";
import type { Device } from "../gpu/device.js";
import type { UNetAdditions } from "../models/unet/additions.js";
import type { UNetMotionModel } from "../models/unet/unet.js";
import type { CrossAttention, PreparedText } from "../nn/attention.js";
import { Tensor } from "../tensor/tensor.js";
import type { Condition } from "./condition.js";
import { levelSizes } from "./control/regions.js";
import type { Conditioning } from "./denoiser.js";
import type { LatentSlots } from "./latents.js";
import type { Settings } from "./options.js";
import type { PromptChunk, PromptTokenizer } from "./prompt-chunks.js";
import { tokenizePrompt, type PromptParts } from "./prompt.js";

/** A word's attention. */
export interface AttentionMap {
  /** In latents. */
  readonly width: number;
  readonly height: number;
  /** Frames. */
  readonly count: number;
  /**
   * Softmax weights of the word's tokens together, 0 … 1, `[count, height, width]`: the mean over all heads and
   * cross-attention layers, those of lower resolutions enlarged by repetition.
   */
  readonly values: Float32Array;
}

/**
 * Places of a word's tokens in a prompt's rows, wherever it stands.
 * @throws Error where the prompt does not have it
 */
export function wordPositions(tokenizer: PromptTokenizer, rows: readonly PromptChunk[], word: string): number[] {
  const wanted = tokenizer.tokenIds(word);
  const found = rows.flatMap(({ ids }, row) =>
    ids.flatMap((_, at) =>
      wanted.length > 0 && wanted.every((id, i) => ids[at + i] === id)
        ? wanted.map((__, i) => row * tokenizer.modelMaxLength + at + i)
        : [],
    ),
  );
  if (found.length === 0) throw new Error(`the prompt does not have the word "${word}", whose attention is asked for`);
  return [...new Set(found)];
}

export interface WordReaderOptions {
  /** Keys of the run's text, by the UNet's layers. */
  readonly text: PreparedText;
  /** Places of the word's tokens. */
  readonly positions: readonly number[];
  readonly dtype: "f32" | "f16";
  readonly frames: number;
  /** Latents. */
  readonly size: readonly [h: number, w: number];
  /** Levels of the UNet. */
  readonly levels: number;
}

/**
 * A reader for a run.
 * @throws Error where the prompt does not have the word, or the clip is not evaluated as a whole with one text
 */
export function wordReader(
  parts: Pick<PromptParts, "device" | "dtype" | "tokenizer" | "embeddings"> & { readonly unet: UNetMotionModel },
  s: Settings,
  run: {
    readonly word: string;
    readonly whole: boolean;
    readonly conditioning: Conditioning;
    readonly slots: LatentSlots;
  },
): WordReader {
  const { text } = run.conditioning;
  if (!run.whole || text.per !== "clip")
    throw new Error(
      "attentionTo reads clips that are evaluated as a whole, with one prompt; leave out windows and prompts at later frames",
    );
  const { device, dtype, unet, tokenizer } = parts;
  const [frames, h, w] = run.slots.shape;
  const own = new Set(unet.crossAttentions);
  return new WordReader(device, {
    text: new Map([...text.keyValues].filter(([layer]) => own.has(layer))),
    positions: wordPositions(tokenizer, tokenizePrompt(parts, s.prompt, s).chunks, run.word),
    dtype,
    frames,
    size: [h, w],
    levels: unet.config.blockOutChannels.length,
  });
}

/** Reads a word's weights in every evaluation of a whole clip; as a condition it adds nothing. */
export class WordReader implements Condition {
  readonly #device: Device;
  readonly #options: WordReaderOptions;
  /** Values that are 1 for the word in the first channel of each head, and the mean over those channels; by sizes. */
  readonly #ways = new Map<string, { readonly values: Tensor; readonly mean: PackedLinear }>();
  /** What the last evaluation gave, `[clips · frames, positions, 2]`, twice the same. */
  readonly #given = new Map<CrossAttention, Tensor>();

  constructor(device: Device, options: WordReaderOptions) {
    this.#device = device;
    this.#options = options;
    for (const layer of options.text.keys()) this.#way(layer);
  }

  active(): boolean {
    return true;
  }

  feed(): void {
    // Its values are the same for all frames.
  }

  record(): UNetAdditions {
    const reading = (layer: CrossAttention) => {
      const { values, mean } = this.#way(layer);
      return {
        values,
        read: (y: Tensor) => {
          const weights = linear(y, mean, { label: "attentionMap" });
          copy(weights, 0, this.#place(layer, weights), 0, weights.bytes);
        },
      };
    };
    return { attention: new Map([...this.#options.text.keys()].map((layer) => [layer, reading(layer)])) };
  }

  /** The maps of the last evaluation. */
  async map(): Promise<AttentionMap> {
    const { frames, size, levels } = this.#options;
    const [height, width] = size;
    const values = new Float32Array(frames * height * width);
    const share = 1 / this.#given.size;
    for (const given of this.#given.values()) {
      const [all = 0, positions = 0] = given.shape;
      const [h, w] = levelSizes(height, width, levels).find(([y, x]) => y * x === positions)!;
      const weights = await given.read();
      const first = (all - frames) * positions; // under guidance the conditional half comes last
      for (let i = 0; i < values.length; i++) {
        const frame = Math.floor(i / (height * width));
        const y = Math.floor((Math.floor(i / width) % height) * (h / height));
        const x = Math.floor((i % width) * (w / width));
        values[i]! += share * weights[2 * (first + frame * positions + y * w + x)]!;
      }
    }
    return { width, height, count: frames, values };
  }

  [Symbol.dispose](): void {
    for (const { values, mean } of this.#ways.values()) for (const t of [values, mean.weight]) t.dispose();
    for (const t of this.#given.values()) t.dispose();
  }

  #way(layer: CrossAttention): { readonly values: Tensor; readonly mean: PackedLinear } {
    const { text, positions, dtype } = this.#options;
    const { inner, heads } = layer;
    const [batch = 0, tokens = 0] = text.get(layer)!.shape;
    const key = `${inner} ${heads}`;
    let way = this.#ways.get(key);
    if (!way) {
      const channels = Array.from({ length: heads }, (_, head) => (head * inner) / heads);
      const ones = new Float32Array(batch * tokens * inner);
      for (let b = 0; b < batch; b++)
        for (const at of positions) for (const c of channels) ones[(b * tokens + at) * inner + c] = 1;
      const shares = new Float32Array(2 * inner);
      for (const c of channels) shares[c] = shares[inner + c] = 1 / heads;
      using raw = Tensor.from(this.#device, shares, [2, inner], dtype, "attention map: mean");
      way = {
        values: Tensor.from(this.#device, ones, [batch, tokens, inner], dtype, "attention map: the word"),
        mean: packLinear(raw),
      };
      this.#ways.set(key, way);
    }
    return way;
  }

  /** Where a layer's weights are kept: outside of the recording that fills it. */
  #place(layer: CrossAttention, like: Tensor): Tensor {
    let place = this.#given.get(layer);
    if (!place) {
      place = this.#device.aside(() => Tensor.empty(this.#device, like.shape, like.dtype, "attention map"));
      this.#device.untrack(place);
      this.#given.set(layer, place);
    }
    return place;
  }
}
