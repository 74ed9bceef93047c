// What a folder is, by its JSON files.

import { readJson, type Folder } from "../folder.js";
import type { CheckpointKind } from "./findings.js";

/** What a folder is: a whole diffusers model by its model_index.json, a component by its config.json; undefined for neither. @throws CheckpointError where such a file is damaged */
export async function identifyFolder(
  folder: Folder,
): Promise<
  { readonly kind: CheckpointKind; readonly className: string; readonly components: readonly string[] } | undefined
> {
  const paths = await folder.list();
  if (paths.includes("model_index.json")) {
    const { json: index } = await readJson(folder, "model_index.json");
    const className = String(index["_class_name"]);
    const components = Object.entries(index).filter(
      ([name, v]) => !name.startsWith("_") && Array.isArray(v) && v[0] !== null,
    );
    return { kind: "diffusers-folder", className, components: components.map(([name]) => name) };
  }
  if (!paths.includes("config.json")) return undefined;
  const { json: config } = await readJson(folder, "config.json");
  const architectures = config["architectures"];
  const className =
    typeof config["_class_name"] === "string"
      ? config["_class_name"]
      : Array.isArray(architectures)
        ? String(architectures[0])
        : "";
  return { kind: CLASSES[className] ?? "unknown", className, components: [] };
}

const CLASSES: Readonly<Record<string, CheckpointKind>> = {
  UNet2DConditionModel: "unet",
  UNetMotionModel: "unet-motion",
  AutoencoderKL: "vae",
  CLIPTextModel: "text-encoder",
  CLIPTextModelWithProjection: "text-encoder",
  CLIPVisionModelWithProjection: "image-encoder",
  MotionAdapter: "motion",
  ControlNetModel: "controlnet",
  SparseControlNetModel: "sparse-control",
  T2IAdapter: "t2i-adapter",
  StableDiffusionSafetyChecker: "safety-checker",
  FluxTransformer2DModel: "flux",
  SD3Transformer2DModel: "sd3",
  UNetSpatioTemporalConditionModel: "svd",
};
