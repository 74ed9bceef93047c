// What files are, and which setting of the page takes them. They are opened as a run would open them, headers alone, so that
// what is damaged or foreign is refused in a sentence: before it is stored, and before it is downloaded.

import {
  identify,
  identifyFolder,
  openWeights,
  openWeightsFolder,
  type ByteSource,
  type Folder,
  type Identity,
} from "../../index.js";
import { openModel } from "../../pipelines/model-files.js";
import type { Manifest, Role } from "./read.js";

/** What is said of a model. */
export type Description = Pick<Manifest, "role" | "description" | "parameters">;

const ROLES: Readonly<Record<string, Role>> = {
  "sd15-single-file": "model",
  "diffusers-folder": "model",
  motion: "motion",
  "unet-motion": "motion",
  lora: "lora",
  vae: "vae",
  controlnet: "control",
  "t2i-adapter": "control",
  "sparse-control": "sparse",
  "ip-adapter": "ip-adapter",
  "image-encoder": "image-encoder",
  "textual-inversion": "embedding",
};

/** @throws Error saying what the folder is, where no setting takes it or it is damaged */
export async function describeFolder(folder: Folder): Promise<Description> {
  const what = await identifyFolder(folder);
  const role = ROLES[what?.kind ?? "unknown"];
  if (!what || !role || what.kind === "unet-motion")
    throw new Error(
      `${folder.name} is a folder of ${what?.className ?? "unknown files"}, which no setting of this page takes; add a whole model folder, a MotionAdapter, a VAE, a LoRA, a ControlNet, a T2I-Adapter, a SparseCtrl encoder or an image encoder`,
    );
  if (role === "model")
    return { role, description: `diffusers folder (${what.className})`, parameters: await check(folder) };
  const file = await openWeightsFolder(folder);
  const { description, parameters } = identify(file);
  await file.close();
  return { role, description, parameters };
}

/** The same for one file, which is opened more than once. */
export async function describeFile(name: string, open: () => ByteSource): Promise<Description> {
  const weights = await openWeights(open());
  const { kind, description, parameters }: Identity = identify(weights);
  await weights.close();
  const role = ROLES[kind];
  if (!role) throw new Error(`${name} is ${description}, which no setting of this page takes`);
  if (role === "model") await check(open());
  return { role, description, parameters };
}

/** Opens every part of a model as a run would. @returns its parameters @throws CheckpointError naming what does not fit */
async function check(model: Folder | ByteSource): Promise<number> {
  const files = await openModel({ model });
  try {
    const entries = Object.values(files.weights).flatMap((w) => [...w.entries()]);
    return entries.reduce((n, { shape }) => n + shape.reduce((p, d) => p * d, 1), 0);
  } finally {
    await files.close();
  }
}
