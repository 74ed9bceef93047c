// The files of a text-to-video model, opened: a base model, its motion modules and what replaces its parts, as one source
// of weights per network. Reads headers only; weights stream when the networks load.

import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import type { Folder } from "../io/folder.js";
import { contentHash, headerHash, sha256 } from "../io/checkpoint-hash.js";
import { identify } from "../io/names/identify.js";
import { readMotion } from "../io/names/motion.js";
import { renameWeights } from "../io/names/renamed.js";
import { isLdmVae, vaeTable } from "../io/names/vae.js";
import { VAE_PREFIX } from "../io/names/single-file.js";
import { joinWeights, openWeights, openWeightsFolder, type WeightFile } from "../io/weight-files.js";
import type { CLIPTokenizer } from "../models/clip/tokenizer.js";
import type { SchedulerConfig } from "../schedulers/index.js";
import {
  openComponent,
  openDiffusersFolder,
  openSingleFile,
  openTokenizer,
  type BaseModel,
  type Component,
} from "./base-files.js";
import type { ModelConfigs } from "./build.js";
import { inferMotionConfig, inferVAEConfig } from "./infer-config.js";

/** Where a model comes from. */
export interface ModelSources {
  /** A diffusers folder (model_index.json), or a checkpoint of Stable Diffusion 1.5 in one file. */
  readonly model: Folder | ByteSource;
  /** A MotionAdapter folder or file, or an original AnimateDiff or AnimateLCM file; default: the model's own, if any. */
  readonly motion?: Folder | ByteSource | undefined;
  readonly vae?: Folder | ByteSource | undefined;
  /** Default: the model's; Stable Diffusion's where the model is a single file. */
  readonly tokenizer?: Folder | undefined;
}

/** A model's files, opened. */
export interface ModelFiles {
  readonly name: string;
  readonly motionName: string | undefined;
  /** Over what these motion modules' GroupNorm averages in the code they come from. */
  readonly motionNorm: "joint" | "frame";
  readonly configs: ModelConfigs;
  readonly scheduler: SchedulerConfig;
  readonly tokenizer: CLIPTokenizer;
  readonly weights: {
    readonly text: WeightFile;
    readonly unet: WeightFile;
    readonly vae: WeightFile;
    /** AnimateLCM-I2V's image encoder, where the motion file carries one. */
    readonly image?: WeightFile;
  };
  /** sha256 over names, types and shapes of each file's tensors. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Hashes of what is in the files, by what errors call them; reads a megabyte or so of each. */
  identity(): Promise<Readonly<Record<string, string>>>;
  /** What was left out, one sentence each. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** Motion modules, and how their own code normalises. */
interface Motion extends Component {
  readonly norm: "joint" | "frame";
  readonly imageEncoder?: WeightFile | undefined;
  readonly notes: readonly string[];
}

/** Opens a model. @throws CheckpointError naming the file, what was expected there and the cure */
export async function openModel(sources: ModelSources): Promise<ModelFiles> {
  const open: WeightFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((f) => f.close()));
  };
  try {
    const base = isFolder(sources.model)
      ? await openDiffusersFolder(sources.model, { tokenizer: !sources.tokenizer, vae: !sources.vae })
      : await openSingleFile(sources.model);
    for (const part of [base.unet, base.text, base.vae]) if (part) open.push(part.weights);
    const vae = sources.vae ? await openVAE(sources.vae) : need(base.vae, base, "VAE", "give one with --vae");
    const text = need(base.text, base, "text encoder", "use a checkpoint that has one");
    const motionSource = sources.motion ?? base.motion;
    const motion = motionSource && (await openMotion(motionSource));
    if (sources.vae) open.push(vae.weights);
    if (motion) open.push(motion.weights);
    const parts = {
      text: text.weights,
      unet: base.unet.weights,
      vae: vae.weights,
      ...(motion && { motion: motion.weights }),
    };
    const configs = {
      text: text.config,
      unet: base.unet.config,
      vae: vae.config,
      ...(motion && { motion: motion.config }),
    };
    const tokenizer = sources.tokenizer ? await openTokenizer(sources.tokenizer) : base.tokenizer;
    const inside = base.unet.config.json["_class_name"] === "UNetMotionModel" ? base.unet.config.name : undefined;
    return {
      name: base.name,
      motionName: motion?.weights.name ?? inside,
      motionNorm: motion?.norm ?? "joint",
      configs,
      scheduler: base.scheduler,
      tokenizer,
      weights: {
        text: text.weights,
        unet: withMotion(base.unet.weights, motion?.weights),
        vae: vae.weights,
        ...(motion?.imageEncoder && { image: motion.imageEncoder }),
      },
      hashes: Object.fromEntries(
        await Promise.all(Object.entries(parts).map(async ([part, file]) => [part, await headerHash(file)] as const)),
      ),
      identity: async () => ({
        "text encoder": await contentHash(parts.text),
        UNet: await contentHash(parts.unet),
        VAE: await contentHash(parts.vae),
        ...(parts.motion && { "motion modules": await contentHash(parts.motion) }),
        ...(motion?.imageEncoder && { "image encoder": await contentHash(motion.imageEncoder) }),
        configuration: await hashOf([Object.entries(configs).map(([part, { json }]) => [part, json]), base.scheduler]),
        tokenizer: await hashOf(tokenizer.description),
      }),
      notes: [...base.notes, ...(motion?.notes ?? [])],
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function hashOf(value: unknown): Promise<string> {
  return sha256(new TextEncoder().encode(JSON.stringify(value)));
}

function isFolder(source: Folder | ByteSource): source is Folder {
  return "list" in source;
}

function need(part: Component | undefined, base: BaseModel, what: string, cure: string): Component {
  if (!part) throw new CheckpointError(`${base.name} has no ${what}; ${cure}`);
  return part;
}

/** A VAE's folder, or a file in diffusers' or LDM's names. */
async function openVAE(source: Folder | ByteSource): Promise<Component> {
  const [folder, file] = isFolder(source) ? await openedFolder(source) : [undefined, await openWeights(source)];
  const { kind, description } = identify(file);
  // A folder whose names tell nothing is checked name by name when it loads.
  if (kind !== "vae" && !(folder && kind === "unknown")) {
    await file.close();
    throw new CheckpointError(`${source.name} is no VAE: it is ${description}`);
  }
  if (folder) return folder;
  const names = { has: (name: string) => file.has(name) || file.has(VAE_PREFIX + name) };
  const prefix = [...file.entries()].some((e) => e.name.startsWith(VAE_PREFIX)) ? VAE_PREFIX : "";
  const weights = isLdmVae(names) ? renameWeights(file, vaeTable(file, prefix), file.name) : file;
  return { config: inferVAEConfig(weights), weights };
}

async function openedFolder(source: Folder): Promise<readonly [Component, WeightFile]> {
  const component = await openComponent(source);
  return [component, component.weights];
}

/** Motion modules: a MotionAdapter's folder (in whose file the names may be AnimateDiff's), or a file of any spelling. */
async function openMotion(source: Folder | ByteSource): Promise<Motion> {
  const configured = isFolder(source) && (await source.list()).includes("config.json");
  const given = configured ? await openComponent(source) : undefined;
  const file = given?.weights ?? (isFolder(source) ? await openWeightsFolder(source) : await openWeights(source));
  const { kind, description } = identify(file);
  if (kind !== "motion" && kind !== "unet-motion") {
    if (given && kind === "unknown") return { ...given, norm: "joint", notes: [] };
    await file.close();
    throw new CheckpointError(`${source.name} holds no motion modules for Stable Diffusion 1.5: it is ${description}`);
  }
  const { weights, original, positions, imageEncoder, notes } = readMotion(file);
  const own = kind === "motion" ? given : undefined; // a UNetMotionModel's config.json is the UNet's
  const plain = own !== undefined && !original && imageEncoder === undefined;
  return {
    config: own?.config ?? inferMotionConfig(weights, positions),
    weights: plain ? file : weights,
    norm: original ? "frame" : "joint",
    imageEncoder,
    notes: plain ? [] : notes,
  };
}

/** The UNet's file with its motion modules, those of another file in place of its own. */
function withMotion(unet: WeightFile, motion: WeightFile | undefined): WeightFile {
  if (!motion) return unet;
  const isMotion = (name: string) => name.includes("motion_modules.");
  const still: WeightFile = {
    ...unet,
    *entries() {
      for (const e of unet.entries()) if (!isMotion(e.name)) yield e;
    },
    has: (name) => !isMotion(name) && unet.has(name),
  };
  return joinWeights(`${unet.name} with ${motion.name}`, [still, motion]);
}
