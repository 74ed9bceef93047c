// Conversions of a model's parts: motion modules, VAEs, LoRAs. See convert.ts.

import { CheckpointError } from "../io/errors.js";
import { identify } from "../io/names/identify.js";
import { diffusersSpelling, kohyaSpelling } from "../io/names/lora-spelling.js";
import { readLora } from "../io/names/lora.js";
import { originalMotionNames, readMotion } from "../io/names/motion.js";
import { renameWeights, type Origin } from "../io/names/renamed.js";
import { VAE_PREFIX } from "../io/names/single-file.js";
import { isLdmVae, vaeTable, vaeToLdm } from "../io/names/vae.js";
import type { TensorToWrite } from "../io/safetensors-writer.js";
import type { WeightFile } from "../io/weight-files.js";
import { sinusoid } from "../models/unet/motion.js";
import { tensorsOf, type DTypeChoice } from "./convert-tensors.js";
import { motionConfig, vaeConfig } from "./diffusers-files.js";

/** Names in a file: diffusers', the original code's (LDM, AnimateDiff), kohya's (LoRAs). */
export type Naming = "diffusers" | "original" | "kohya";

export interface ConvertOptions {
  /** A folder in diffusers' layout, or one safetensors file. */
  readonly to: "folder" | "file";
  /** For files; default: those of the file that is read, of a folder those that single files have. */
  readonly names?: Naming;
  /** Type of the floating-point tensors; default: as stored. */
  readonly dtype?: DTypeChoice;
}

/** A file to write; `path` is "" where the result is this one file. */
export type ConvertedFile =
  | { readonly path: string; readonly text: string }
  | {
      readonly path: string;
      readonly tensors: readonly TensorToWrite[];
      readonly metadata: ReadonlyMap<string, string>;
    };

/** safetensors.torch's metadata, which transformers insists on. */
export const PYTORCH = new Map([["format", "pt"]]);
/** What diffusers calls the weights of a component. */
export const WEIGHTS = "diffusion_pytorch_model.safetensors";

/** A conversion before its size is known. */
export interface Draft {
  readonly description: string;
  readonly files: readonly ConvertedFile[];
  readonly notes?: readonly string[];
}

/** Motion modules or a VAE as a component's folder. */
export function component(
  file: WeightFile,
  kind: string,
  config: string | undefined,
  { names, dtype }: ConvertOptions,
): Draft {
  if (names !== undefined && names !== "diffusers")
    throw new CheckpointError(`a folder has diffusers' names; --names ${names} is for files`);
  const folder = (description: string, weights: WeightFile, json: string, notes: readonly string[] = []): Draft => ({
    description,
    files: [
      { path: "config.json", text: json },
      { path: WEIGHTS, tensors: tensorsOf(weights, dtype), metadata: PYTORCH },
    ],
    notes,
  });
  if (kind === "motion") {
    const { weights, positions, original, notes, imageEncoder } = readMotion(file);
    const more = [
      ...notes,
      ...(imageEncoder ? ["its image encoder (image to video) has no place in a MotionAdapter and is left out"] : []),
      ...(original
        ? [
            "diffusers normalises a clip jointly; for the frames that the original file gives, run it with --motion-norm frame",
          ]
        : []),
    ];
    const { tensors, count } = withPositions(weights, positions, dtype);
    const json = config ?? motionConfig(weights, count);
    return {
      description: "a MotionAdapter folder",
      files: [
        { path: "config.json", text: json },
        { path: WEIGHTS, tensors, metadata: PYTORCH },
      ],
      notes: more,
    };
  }
  if (kind === "vae") {
    const weights = diffusersVAE(file);
    return folder("a VAE folder (AutoencoderKL)", weights, config ?? vaeConfig(weights));
  }
  if (config !== undefined) return folder("the same folder, its weights in safetensors", file, config);
  const { description } = identify(file);
  throw new CheckpointError(
    `${file.name} is ${description}; folders are written of whole models, motion modules and VAEs: end the path with .safetensors`,
  );
}

/** A MotionAdapter keeps its positional encodings: those that AnimateLCM's file leaves to its reader are made. */
function withPositions(
  weights: WeightFile,
  positions: number | undefined,
  dtype: DTypeChoice | undefined,
): { tensors: readonly TensorToWrite[]; count: number } {
  const tensors = tensorsOf(weights, dtype);
  if (positions !== undefined) return { tensors, count: positions };
  const count = 64; // as many as AnimateLCM was trained with
  const made = [...weights.entries()].flatMap(({ name, shape }): TensorToWrite[] => {
    const at = /^(.+\.transformer_blocks\.\d+\.)norm1\.weight$/.exec(name)?.[1];
    if (at === undefined) return [];
    const channels = shape[0] ?? 0;
    return [
      {
        name: `${at}pos_embed.pe`,
        dtype: "F32",
        shape: [1, count, channels],
        data: new Uint8Array(sinusoid(count, channels).buffer),
      },
    ];
  });
  return { tensors: [...tensors, ...made], count };
}

/** Motion modules in one file. */
export function motionFile(file: WeightFile, names: Naming, { dtype }: ConvertOptions): Draft {
  if (names === "kohya")
    throw new CheckpointError(`motion modules have diffusers' or the original names; kohya's are for LoRAs`);
  const { weights, notes, positions } = readMotion(file);
  if (names === "diffusers") {
    const { tensors } = withPositions(weights, positions, dtype);
    return {
      description: "motion modules in diffusers' names",
      files: [{ path: "", tensors, metadata: PYTORCH }],
      notes,
    };
  }
  const table = new Map<string, Origin>();
  for (const { name } of weights.entries()) for (const to of originalMotionNames(name)) table.set(to, { from: name });
  return {
    description: "motion modules in AnimateDiff's own names",
    files: [{ path: "", tensors: tensorsOf(renameWeights(weights, table), dtype), metadata: PYTORCH }],
    notes,
  };
}

/** Any spelling of a VAE in today's diffusers names. */
function diffusersVAE(file: WeightFile): WeightFile {
  const prefix = [...file.entries()].some((e) => e.name.startsWith(VAE_PREFIX)) ? VAE_PREFIX : "";
  return renameWeights(file, vaeTable(file, prefix), file.name);
}

/** A VAE in one file. */
export function vaeFile(file: WeightFile, names: Naming, { dtype }: ConvertOptions): Draft {
  if (names === "kohya")
    throw new CheckpointError(`a VAE has diffusers' or the original names (LDM's); kohya's are for LoRAs`);
  const weights = diffusersVAE(file);
  if (names === "diffusers")
    return {
      description: "a VAE in diffusers' names",
      files: [{ path: "", tensors: tensorsOf(weights, dtype), metadata: PYTORCH }],
    };
  const local = { has: (n: string) => file.has(n) || file.has(VAE_PREFIX + n) };
  const table = new Map<string, Origin>();
  for (const [to, from] of vaeToLdm([...weights.entries()].map((e) => e.name))) {
    const { shape } = weights.entry(from);
    const convolution = /\.attn_1\.(q|k|v|proj_out)\.weight$/.test(to) && shape.length === 2;
    table.set(to, { from, ...(convolution && { shape: [...shape, 1, 1] }) });
  }
  const tensors =
    isLdmVae(local) && file.has("decoder.conv_in.weight")
      ? tensorsOf(file, dtype)
      : tensorsOf(renameWeights(weights, table), dtype);
  return { description: "a VAE in LDM's names", files: [{ path: "", tensors, metadata: PYTORCH }] };
}

/** A LoRA in another spelling. */
export async function spelledLora(file: WeightFile, names: Naming, { dtype }: ConvertOptions): Promise<Draft> {
  if (names === "original") throw new CheckpointError(`LoRAs have diffusers' or kohya's names; say which with --names`);
  const lora = await readLora(file);
  const { tensors, metadata } = names === "kohya" ? kohyaSpelling(file, lora) : diffusersSpelling(file, lora);
  const list = tensors.flatMap(({ name, from, shape, dtype: type }): readonly TensorToWrite[] =>
    typeof from === "string"
      ? tensorsOf(renameWeights(file, new Map([[name, { from, shape }]])), dtype)
      : [{ name, shape, dtype: type, data: new Uint8Array(new Float32Array([from]).buffer) }],
  );
  const { unmatched } = lora;
  return {
    description: `a LoRA in ${names === "kohya" ? "kohya's" : "diffusers'"} names`,
    files: [{ path: "", tensors: list, metadata: new Map([...PYTORCH, ...metadata]) }],
    notes:
      unmatched.length === 0
        ? []
        : [
            `${unmatched.length} modules that Stable Diffusion 1.5 does not have are left out: ${unmatched.slice(0, 3).join(", ")}${unmatched.length > 3 ? ", …" : ""}`,
          ],
  };
}
