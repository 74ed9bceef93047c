// kineograph inspect: what a checkpoint is, or with which command a picture was made. Runs nothing from the file.

import { statSync } from "node:fs";
import { CheckpointError } from "../io/errors.js";
import { readJson, subfolder, type Folder } from "../io/folder.js";
import { openFile, openFolder } from "../io/node-file.js";
import { recipeToCommand } from "../io/recipe.js";
import { readRecipeFile, RECIPE_FILE } from "../io/recipe-file.js";
import { readEmbedding } from "../io/names/embedding.js";
import { identify, type CheckpointKind } from "../io/names/identify.js";
import { readLora } from "../io/names/lora.js";
import { storedBytes } from "../io/stored-types.js";
import { openWeights, openWeightsFolder, type WeightFile } from "../io/weight-files.js";
import { bytes, count, table } from "./format.js";

/** What `--json` prints of a checkpoint. */
interface Checkpoint {
  readonly path: string;
  readonly kind: string;
  readonly format: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
  readonly types: Readonly<Record<string, number>>;
  readonly lora?: {
    readonly kind: string;
    readonly modules: number;
    readonly ranks: readonly number[];
    readonly alphas: readonly number[];
    readonly unmatched: readonly string[];
  };
  /** Facts by name: width, positions, names, … */
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** The option of `generate` that takes it; absent where none does. */
  readonly option?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  /** With --verbose. */
  readonly entries?: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
}

/** Where `generate` takes what. */
const OPTIONS: Partial<Readonly<Record<CheckpointKind, string>>> = {
  "sd15-single-file": "--model",
  motion: "--motion",
  "unet-motion": "--motion",
  lora: "--lora",
  vae: "--vae",
  "textual-inversion": "--embedding",
  controlnet: "--control",
  "t2i-adapter": "--control",
  "sparse-control": "--control",
  "ip-adapter": "--ip-adapter",
  "image-encoder": "--ip-encoder",
};

interface InspectOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export async function inspect(path: string, options: InspectOptions): Promise<void> {
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) throw new Error(`${path}: there is no such file or folder`);
  if (info.isFile() && RECIPE_FILE.test(path)) return inspectPicture(path, options);
  if (info.isFile()) return inspectFile(await openWeights(await openFile(path)), path, options);
  const folder = await openFolder(path);
  const paths = await folder.list();
  if (paths.includes("model_index.json")) return inspectModel(folder, paths, options);
  return inspectFile(await openWeightsFolder(folder), path, options);
}

async function inspectPicture(path: string, { json }: InspectOptions): Promise<void> {
  const recipe = await readRecipeFile(path);
  console.log(json === true ? JSON.stringify(recipe) : recipeToCommand(recipe));
}

async function inspectFile(file: WeightFile, path: string, { json, verbose }: InspectOptions): Promise<void> {
  const c = await describe(file, path, verbose === true);
  console.log(json === true ? JSON.stringify(c) : text(c));
}

async function inspectModel(
  folder: Folder,
  paths: readonly string[],
  { json, verbose }: InspectOptions,
): Promise<void> {
  const { json: index } = await readJson(folder, "model_index.json");
  const parts: Checkpoint[] = [];
  for (const part of Object.keys(index)) {
    if (part.startsWith("_") || !paths.some((p) => p.startsWith(`${part}/`) && /\.(safetensors|bin)$/.test(p)))
      continue;
    parts.push(await describe(await openWeightsFolder(subfolder(folder, part)), part, verbose === true));
  }
  const family = String(index["_class_name"]);
  if (json === true) return console.log(JSON.stringify({ path: folder.name, kind: "diffusers folder", family, parts }));
  const rows = parts.map((p) => [p.path, p.kind, types(p), count(p.parameters), bytes(p.bytes)]);
  console.log(`${folder.name}: diffusers folder, ${family}\n`);
  console.log(table([["part", "what", "stored as", "parameters", "size"], ...rows], [false, false, false, true, true]));
  if (verbose === true) for (const p of parts) console.log(`\n${text(p)}`);
}

/** What a file holds, with `all` every tensor; closes it. */
async function describe(file: WeightFile, path: string, all: boolean): Promise<Checkpoint> {
  try {
    return { ...(await summary(file, path)), ...(all && { entries: [...file.entries()] }) };
  } finally {
    await file.close();
  }
}

async function summary(file: WeightFile, path: string): Promise<Checkpoint> {
  const { kind, description, tensors, parameters, dtypes, details } = identify(file);
  const lora = kind === "lora" ? await readLora(file) : undefined;
  const modules = [...(lora?.modules.values() ?? [])];
  const distinct = (key: "rank" | "alpha") => [...new Set(modules.map((m) => m[key]))];
  return {
    path,
    kind: lora ? `${description} (${lora.kind}, ${lora.spellings.join(" and ")} spelling)` : description,
    format: file.format,
    tensors,
    parameters,
    bytes: [...file.entries()].reduce(
      (n, { shape, dtype }) => n + shape.reduce((m, d) => m * d, storedBytes(dtype)),
      0,
    ),
    types: dtypes,
    ...(lora && {
      lora: {
        kind: lora.kind,
        modules: modules.length,
        ranks: distinct("rank"),
        alphas: distinct("alpha"),
        unmatched: lora.unmatched,
      },
    }),
    details: { ...details, ...(kind === "textual-inversion" && { names: await names(file, details) }) },
    ...(usable(kind, details) && { option: OPTIONS[kind]! }),
    metadata: Object.fromEntries(file.metadata),
    notes: file.notes,
  };
}

/** Whether `generate` takes it: what is made for other families fits nothing here, nor do IP-Adapters that read no pictures. */
function usable(kind: CheckpointKind, { base, form, crossAttentionDim }: Checkpoint["details"]): boolean {
  if (kind === "ip-adapter" && String(form).startsWith("FaceID")) return false;
  if (crossAttentionDim === 1024 || crossAttentionDim === 2048) return false; // SD 2, SDXL
  return OPTIONS[kind] !== undefined && (base === undefined || base === "SD 1.5");
}

async function names(file: WeightFile, { width }: Checkpoint["details"]): Promise<string> {
  return (await readEmbedding(file, Number(width)).catch(() => ({ names: [] }))).names.join(", ");
}

function types({ types: perType }: Checkpoint): string {
  return Object.entries(perType)
    .map(([type, n], _, all) => (all.length === 1 ? type : `${type} (${n})`))
    .join(", ");
}

function text(c: Checkpoint): string {
  if (c.tensors === 0) throw new CheckpointError(`${c.path} holds no tensors`);
  const lines = [
    `${c.path}: ${c.kind}`,
    `${c.format}, ${c.tensors} tensors stored as ${types(c)}, ${count(c.parameters)} parameters, ${bytes(c.bytes)}`,
  ];
  if (c.lora) {
    const list = (values: readonly number[]) => values.slice(0, 4).join(", ") + (values.length > 4 ? ", …" : "");
    lines.push(`${c.lora.modules} modules of rank ${list(c.lora.ranks)}, alpha ${list(c.lora.alphas)}`);
    if (c.lora.unmatched.length > 0)
      lines.push(
        `left out, unknown: ${c.lora.unmatched.slice(0, 5).join(", ")}${c.lora.unmatched.length > 5 ? ` and ${c.lora.unmatched.length - 5} more` : ""}`,
      );
  }
  const facts = Object.entries(c.details)
    .filter(([, value]) => value !== "")
    .filter(([key]) => !c.lora || !["rank", "modules", "spelling"].includes(key));
  if (facts.length > 0) lines.push(facts.map(([key, value]) => `${words(key)} ${String(value)}`).join(", "));
  if (c.option !== undefined) lines.push(`kineograph generate takes it as ${c.option}`);
  for (const [key, value] of Object.entries(c.metadata)) lines.push(`${key}: ${shortened(value)}`);
  lines.push(...c.notes);
  for (const e of c.entries ?? []) lines.push(`  ${e.name}  ${e.dtype} [${e.shape.join(", ")}]`);
  return lines.join("\n");
}

/** `crossAttentionDim` as words. */
function words(key: string): string {
  return key.replace(/[A-Z]+/g, (capital) => ` ${capital.toLowerCase()}`);
}

/** Metadata on one line: some writers indent their JSON. */
function shortened(value: string): string {
  const line = value.replace(/\s+/g, " ");
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
