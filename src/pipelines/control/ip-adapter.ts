// IP-Adapters (Ye et al. 2023) loaded for a UNet: an image encoder, what makes tokens of its view, and the keys and values by
// which every layer that reads the text attends to them besides (decoupled cross-attention). Numerically diffusers'.

import type { Device } from "../../gpu/device.js";
import type { ByteSource } from "../../io/byte-source.js";
import { contentHash } from "../../io/checkpoint-hash.js";
import { CheckpointError } from "../../io/errors.js";
import type { Folder } from "../../io/folder.js";
import { identify } from "../../io/names/identify.js";
import { openWeights, type WeightFile } from "../../io/weight-files.js";
import {
  EmbeddingProjection,
  FullProjection,
  ResamplerProjection,
  type ImageProjection,
} from "../../models/adapters/image-projection.js";
import { CLIPVisionModel, parseCLIPVisionConfig, type CLIPVisionConfig } from "../../models/clip/vision-model.js";
import type { UNetMotionModel } from "../../models/unet/unet.js";
import type { CrossAttention } from "../../nn/attention.js";
import { FusedLinear } from "../../nn/linear.js";
import { WeightStore, type Weights } from "../../nn/weights.js";
import { Tensor } from "../../tensor/tensor.js";
import { openComponent } from "../base-files.js";

/** An IP-Adapter with its image encoder, for one UNet. */
export interface IPAdapter extends Disposable {
  readonly name: string;
  readonly encoder: CLIPVisionModel;
  readonly unet: UNetMotionModel;
  readonly dtype: "f32" | "f16";
  /** Tell what adapter and encoder were loaded from by its content (see contentHash); absent where nothing is executed. */
  readonly content?: readonly string[];
  /** Tokens `[1, n, width]` of a picture that `clipPixels` prepared, or of none: what guidance leads away from. */
  tokens(pixels: Float32Array | undefined): Tensor;
  /** Keys and values `[1, n, 2·inner]` of tokens `[1, n, width]`, by the layer that reads them. */
  keyValues(tokens: Tensor): Map<CrossAttention, Tensor>;
  /** Runs `body`, which uses its weights; otherwise they lie on the host. */
  readonly awake: WeightStore["awake"];
  dispose(): void;
}

export interface LoadIPAdapterOptions {
  readonly adapter: ByteSource;
  readonly encoder: Folder;
  /** Storage of weights and activations; must be the pipeline's. */
  readonly precision: "f32" | "f16";
}

/**
 * Loads an IP-Adapter's file (the published kinds that read pictures: standard and light, Plus and Plus Face, Full Face) and the
 * folder of its CLIP image encoder for a UNet.
 * @throws CheckpointError or Error naming both sides where adapter, encoder and UNet do not fit
 */
export async function loadIPAdapter(
  device: Device,
  unet: UNetMotionModel,
  { adapter, encoder, precision }: LoadIPAdapterOptions,
): Promise<IPAdapter> {
  const component = await openComponent(encoder);
  const stores: WeightStore[] = [];
  const dispose = () => {
    for (const store of stores) store.dispose();
  };
  let file: WeightFile | undefined;
  try {
    file = await openWeights(adapter);
    const config = parseCLIPVisionConfig(component.config.json, component.config.name);
    // A run needs them for a moment, before its first step: they stay on the host, and the encoder, half as large as the UNet
    // beside it, is uploaded layer by layer.
    const own = new WeightStore(device, precision, { resting: true });
    const seeing = new WeightStore(device, precision, { streamed: true });
    stores.push(own, seeing);
    const projection = buildProjection(own.root.at("image_proj"), file);
    checkEncoder(projection, config, adapter.name, encoder.name);
    const layers = unet.adapterLayers;
    const { width } = projection;
    if (width !== unet.config.crossAttentionDim || !file.has(`ip_adapter.${2 * layers.length - 1}.to_k_ip.weight`))
      throw new CheckpointError(
        `${adapter.name} makes tokens of width ${width}${width === 2048 ? " (SDXL's)" : ""} for another number of layers than this model's ${layers.length} of width ${unet.config.crossAttentionDim}; use an IP-Adapter for Stable Diffusion 1.5 with a model of that family`,
      );
    const vision = new CLIPVisionModel(seeing.root, config);
    const attend = layers.map((layer, i) => ({
      layer,
      keyValues: new FusedLinear(own.root.at("ip_adapter").at(2 * i + 1), ["to_k_ip", "to_v_ip"], width, layer.inner),
    }));
    own.check(file);
    seeing.check(component.weights);
    const content = device.isDry
      ? undefined
      : [await contentHash(file), await contentHash(component.weights, component.config.json)];
    await seeing.load(component.weights);
    await own.load(file);
    await own.rest();
    const see = (pixels: Float32Array | undefined): Tensor => {
      const { projection: wide, imageSize } = config;
      if (projection.reads === "states")
        return vision.penultimate(device, pixels ?? new Float32Array(imageSize * imageSize * 3), precision);
      if (pixels) return vision.embed(device, pixels, precision);
      return Tensor.from(device, new Float32Array(wide), [1, wide], precision, "no picture");
    };
    return {
      name: adapter.name,
      encoder: vision,
      unet,
      dtype: precision,
      ...(content && { content }),
      tokens: (pixels) => device.scope(() => projection.forward(see(pixels))),
      keyValues: (tokens) => new Map(attend.map(({ layer, keyValues }) => [layer, keyValues.forward(tokens)])),
      awake: (body) => own.awake(body),
      dispose,
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  } finally {
    await file?.close();
    await component.weights.close();
  }
}

/** The kind of the file, told by its tensors. @throws CheckpointError for kinds that read no picture, and other files */
function buildProjection(w: Weights, file: WeightFile): ImageProjection {
  const { kind, description, details } = identify(file);
  if (kind !== "ip-adapter") throw new CheckpointError(`${file.name} is no IP-Adapter: it is ${description}`);
  const shapeOf = (name: string) => file.entry(name).shape;
  switch (details["form"]) {
    case "standard":
      return new EmbeddingProjection(w, shapeOf);
    case "Full Face":
      return new FullProjection(w, shapeOf);
    case "Plus": {
      let layers = 0;
      while (file.has(w.name(`layers.${layers}.0.to_q.weight`))) layers++;
      return new ResamplerProjection(w, shapeOf, layers);
    }
    default:
      throw new CheckpointError(
        `${file.name} is ${description}: it reads a face recogniser's vectors (InsightFace), which are not computed here; for faces use ip-adapter-plus-face_sd15 or ip-adapter-full-face_sd15, which read pictures`,
      );
  }
}

/** CLIP's published image encoders by the widths of their states and embeddings. */
const ENCODERS = [
  { name: "CLIP ViT-L/14", states: 1024, embedding: 768 },
  { name: "CLIP ViT-H/14", states: 1280, embedding: 1024 },
  { name: "CLIP ViT-bigG/14", states: 1664, embedding: 1280 },
] as const;

/** @throws CheckpointError naming both where the encoder is not the one that the adapter was made for */
function checkEncoder(p: ImageProjection, config: CLIPVisionConfig, adapter: string, encoder: string): void {
  const made = p.reads === "states" ? config.hiddenSize : config.projection;
  if (p.inputs === made) return;
  const [wanted, given] = [p.inputs, made].map((width) => ENCODERS.find((e) => e[p.reads] === width));
  const what = p.reads === "states" ? "states" : "embeddings";
  throw new CheckpointError(
    `${adapter} reads ${what} of width ${p.inputs}${wanted ? ` (${wanted.name}'s)` : ""}, but the image encoder ${encoder} makes ${made}${given ? ` (${given.name}'s)` : ""}; use the encoder that the adapter was made for (--ip-encoder)`,
  );
}
