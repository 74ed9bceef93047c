// IP-Adapter (Ye et al. 2023), the base kind: a picture's CLIP embedding becomes a few more tokens, which every layer that reads the
// text attends to by keys and values of their own (decoupled cross-attention). Numerically diffusers'.

import { cast } from "../../../kernels/elementwise.js";
import { copyRows } from "../../../kernels/copy.js";
import { countNonFinite } from "../../../kernels/finite.js";
import type { Device } from "../../gpu/device.js";
import type { ByteSource } from "../../io/byte-source.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import type { Picture } from "../../io/frames.js";
import { identify } from "../../io/names/identify.js";
import { openWeights } from "../../io/weight-files.js";
import { CLIPVisionModel, clipPixels, parseCLIPVisionConfig } from "../../models/clip/vision-model.js";
import type { UNetAdditions } from "../../models/unet/additions.js";
import type { UNetMotionModel } from "../../models/unet/unet.js";
import type { AttentionAddition, CrossAttention } from "../../nn/attention.js";
import { FusedLinear, Linear } from "../../nn/linear.js";
import { LayerNorm } from "../../nn/norm.js";
import { WeightStore } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";
import { openComponent } from "../base-files.js";
import type { Condition } from "../condition.js";
import type { ConditionedRun } from "./conditions.js";
import { checkSpan, inSpan, type Span } from "./span.js";

/** An IP-Adapter with its image encoder, for one UNet. */
export interface IPAdapter extends Disposable {
  readonly name: string;
  readonly encoder: CLIPVisionModel;
  /** Embeddings `[pictures, projection]` → keys and values of their tokens, `[1, pictures · tokens, 2·inner]` per layer. */
  keyValues(embeddings: Tensor): Map<CrossAttention, Tensor>;
  dispose(): void;
}

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

/**
 * Loads an IP-Adapter's file and the folder of its CLIP image encoder for a UNet.
 * @throws CheckpointError or Error naming both sides where adapter, encoder and UNet do not fit
 */
export async function loadIPAdapter(
  device: Device,
  unet: UNetMotionModel,
  {
    adapter,
    encoder,
    precision,
  }: { readonly adapter: ByteSource; readonly encoder: Folder; readonly precision: "f32" | "f16" },
): Promise<IPAdapter> {
  const component = await openComponent(encoder);
  const file = await openWeights(adapter);
  const stores: WeightStore[] = [];
  const dispose = () => {
    for (const store of stores) store.dispose();
  };
  try {
    const { kind, description, details } = identify(file);
    if (kind !== "ip-adapter") throw new CheckpointError(`${adapter.name} is no IP-Adapter: it is ${description}`);
    if (details["form"] !== "standard")
      throw new CheckpointError(
        `${adapter.name} is ${description}; supported is the standard kind (ip-adapter_sd15), which reads one embedding a picture`,
      );
    const config = parseCLIPVisionConfig(component.config.json, component.config.name);
    const [outputs = 0, inputs = 0] = file.entry("image_proj.proj.weight").shape;
    const width = file.entry("image_proj.norm.weight").shape[0] ?? 1;
    if (inputs !== config.projection)
      throw new CheckpointError(
        `${adapter.name} reads embeddings of width ${inputs}, but the image encoder ${encoder.name} makes ${config.projection}; use the encoder that the adapter was made for (--ip-encoder)`,
      );
    const layers = unet.adapterLayers;
    if (width !== unet.config.crossAttentionDim || !file.has(`ip_adapter.${2 * layers.length - 1}.to_k_ip.weight`))
      throw new CheckpointError(
        `${adapter.name} makes tokens of width ${width} for another number of layers than this model's ${layers.length} of width ${unet.config.crossAttentionDim}; use an IP-Adapter for Stable Diffusion 1.5 with a model of that family`,
      );
    const [own, seeing] = [new WeightStore(device, precision), new WeightStore(device, precision)];
    stores.push(own, seeing);
    const vision = new CLIPVisionModel(seeing.root, config);
    const w = own.root;
    const project = new Linear(w.at("image_proj.proj"), inputs, outputs);
    const norm = new LayerNorm(w.at("image_proj.norm"), width);
    const attend = layers.map((layer, i) => ({
      layer,
      keyValues: new FusedLinear(w.at("ip_adapter").at(2 * i + 1), ["to_k_ip", "to_v_ip"], width, layer.inner),
    }));
    await seeing.load(component.weights);
    await own.load(file);
    return {
      name: adapter.name,
      encoder: vision,
      keyValues(embeddings) {
        const [pictures = 1] = embeddings.shape;
        const tokens = (pictures * outputs) / width;
        const states = norm.forward(project.forward(embeddings).reshape([1, tokens, width]));
        return new Map(attend.map(({ layer, keyValues }) => [layer, keyValues.forward(states)]));
      },
      dispose,
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  } finally {
    await file.close();
    await component.weights.close();
  }
}

/** With defaults. */
export type ImagePromptSettings = Required<ImagePromptOptions>;

/** Fills in defaults. @throws Error for the first value that cannot work */
export function settleImagePrompts(prompts: readonly ImagePromptOptions[], steps: number): ImagePromptSettings[] {
  return prompts.map((p) => {
    const s = { adapter: p.adapter, images: p.images, scale: p.scale ?? 1, start: p.start ?? 0, end: p.end ?? 1 };
    const { name } = p.adapter;
    if (s.images.length === 0) throw new Error(`${name} got no picture; give one (--ip-image)`);
    if (!Number.isFinite(s.scale)) throw new Error(`${name}: scale is ${s.scale}, expected a number`);
    checkSpan(s, steps, name);
    return s;
  });
}

class ImagePromptCondition implements Condition {
  readonly crossAttentions = [];
  readonly #attention: ReadonlyMap<CrossAttention, AttentionAddition>;
  readonly #span: Span & { readonly scale: number };
  readonly #steps: number;

  constructor(
    attention: ReadonlyMap<CrossAttention, AttentionAddition>,
    span: Span & { readonly scale: number },
    steps: number,
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

/** Encodes the pictures and computes the layers' keys and values; under guidance those of an embedding of zeros first. */
export async function imagePromptCondition(p: ImagePromptSettings, run: ConditionedRun): Promise<Condition> {
  const { device, dtype, settings, timesteps } = run;
  const { encoder, name } = p.adapter;
  const { imageSize, projection } = encoder.config;
  const { attention, check } = device.scope(() => {
    const embeddings = Tensor.empty(device, [p.images.length, projection], dtype, "picture embeddings");
    for (const [i, image] of p.images.entries())
      copyRows(encoder.embed(device, clipPixels(image, imageSize), dtype), 0, embeddings, i, 1);
    const zeros = Tensor.from(device, new Float32Array(embeddings.size), embeddings.shape, dtype, "no picture");
    const sides = (settings.guidance > 1 ? [zeros, embeddings] : [embeddings]).map((e) => p.adapter.keyValues(e));
    const joined = [...sides[0]!.keys()].map((layer) => {
      const [, tokens, width] = sides[0]!.get(layer)!.shape as [number, number, number];
      const keyValues = Tensor.empty(device, [sides.length, tokens, width], dtype, "picture keys and values");
      for (const [i, side] of sides.entries()) copyRows(side.get(layer)!, 0, keyValues, i, 1);
      return [layer, { keyValues, scale: p.scale }] as const;
    });
    return {
      attention: new Map(joined),
      check: countNonFinite(dtype === "f32" ? embeddings : cast(embeddings, "f32")),
    };
  });
  await run.finite(check, `the image encoder of ${name}`);
  check.dispose();
  return new ImagePromptCondition(attention, p, timesteps.length);
}
