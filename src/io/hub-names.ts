// Names of models on the Hugging Face Hub (`hf:owner/name[@revision][/path]`), short names for the published ones, and which
// of a repository's files a use needs. Text only: who fetches them, and from where, is not known here.

import { CheckpointError, quoted } from "./errors.js";
import { chooseWeights } from "./weight-files.js";

/** A repository, or a file or folder in it. */
export interface HubName {
  /** `owner/name` */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** Inside the repository; undefined for all of it. */
  readonly path: string | undefined;
}

/** What a name is used as, which decides the files it needs. */
export type HubUse = "model" | "component" | "file" | "texts";

/** A published model under a short name. */
export interface ShortName {
  readonly name: string;
  /** The command line's option it is for. */
  readonly option: string;
  readonly target: string;
  readonly what: string;
  /** As its page states it. */
  readonly licence: string;
}

const OPENRAIL = "CreativeML OpenRAIL-M";
const UNSTATED = "none stated (code MIT)";

/** Names that stand for published files. */
export const SHORT_NAMES: readonly ShortName[] = [
  {
    name: "sd15",
    option: "--model",
    target: "hf:stable-diffusion-v1-5/stable-diffusion-v1-5",
    what: "Stable Diffusion 1.5",
    licence: OPENRAIL,
  },
  {
    name: "animatelcm",
    option: "--motion",
    target: "hf:wangfuyun/AnimateLCM",
    what: "AnimateLCM's motion modules",
    licence: UNSTATED,
  },
  {
    name: "animatelcm-lora",
    option: "--lora",
    target: "hf:wangfuyun/AnimateLCM/AnimateLCM_sd15_t2v_lora.safetensors",
    what: "AnimateLCM's LCM-LoRA",
    licence: UNSTATED,
  },
  {
    name: "animatelcm-i2v",
    option: "--motion",
    target: "hf:wangfuyun/AnimateLCM-I2V/AnimateLCM_sd15_i2v.ckpt",
    what: "AnimateLCM's motion modules with the image encoder",
    licence: UNSTATED,
  },
  {
    name: "animatelcm-i2v-lora",
    option: "--lora",
    target: "hf:wangfuyun/AnimateLCM-I2V/AnimateLCM_sd15_i2v_lora.safetensors",
    what: "LCM-LoRA for image to video",
    licence: UNSTATED,
  },
  {
    name: "animatediff-v2",
    option: "--motion",
    target: "hf:guoyww/animatediff-motion-adapter-v1-5-2",
    what: "AnimateDiff's motion modules, the teacher (for ddim, dpm, …)",
    licence: "Apache-2.0",
  },
  {
    name: "lcm-lora",
    option: "--lora",
    target: "hf:latent-consistency/lcm-lora-sdv1-5/pytorch_lora_weights.safetensors",
    what: "LCM-LoRA for Stable Diffusion 1.5",
    licence: "OpenRAIL++-M",
  },
  {
    name: "vae-ft-mse",
    option: "--vae",
    target: "hf:stabilityai/sd-vae-ft-mse",
    what: "Stability's fine-tuned VAE",
    licence: "MIT",
  },
];

/**
 * Reads `hf:owner/name[@revision][/path]`, or a short name. A slash in a revision is written `%2F`.
 * @returns undefined for anything else: it is a path
 * @throws CheckpointError for a name that begins with `hf:` and goes on otherwise
 */
export function parseHubName(text: string): HubName | undefined {
  const full = SHORT_NAMES.find((s) => s.name === text)?.target ?? text;
  if (!full.startsWith("hf:")) return undefined;
  const part = "[A-Za-z0-9][\\w.-]*";
  const [, repo, revision, path] = new RegExp(`^hf:(${part}/${part})(?:@([^/]+))?(?:/(.+?)/?)?$`).exec(full) ?? [];
  if (repo === undefined)
    throw new CheckpointError(`${text} is no name of the Hugging Face Hub; expected hf:owner/name[@revision][/file]`);
  if (path?.split("/").some((p) => p === "" || p === "." || p === ".."))
    throw new CheckpointError(`${text}: ${quoted(path)} is no path inside a repository`);
  return { repo, revision: decodeURIComponent(revision ?? "main"), path };
}

/** `hf:owner/name@revision/path`, the revision left out where it is main. */
export function hubNameText({ repo, revision, path }: HubName): string {
  const at = revision === "main" ? "" : `@${encodeURIComponent(revision)}`;
  return `hf:${repo}${at}${path === undefined ? "" : `/${path}`}`;
}

/** Parts of a diffusers folder that a text-to-video run reads weights of. */
const NETWORKS = ["unet", "text_encoder", "vae", "motion_adapter"];
const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin)$/;

export interface NeededOptions {
  /** Prefer weights marked fp16 where both are there: half the bytes. */
  readonly half?: boolean;
  /** Paths that are on this machine already: they win over that. */
  readonly have?: (path: string) => boolean;
}

/** What a use of a name comes to. */
export interface Needed {
  readonly files: readonly string[];
  /** The file or folder (`""`: the repository's top) that stands for the name on a disk. */
  readonly at: string;
}

/**
 * The files that a use of `name` needs, of all `paths` in its repository.
 * @throws CheckpointError naming what was expected and, where several files could be meant, which there are
 */
export function neededFiles(name: HubName, use: HubUse, paths: readonly string[], options: NeededOptions = {}): Needed {
  const { path } = name;
  if (path !== undefined && paths.includes(path)) return { files: [path], at: path };
  const prefix = path === undefined ? "" : `${path}/`;
  const inside = paths.filter((p) => p.startsWith(prefix)).map((p) => p.slice(prefix.length));
  const text = hubNameText(name);
  if (inside.length === 0) throw new CheckpointError(`${text}: the repository has no such file or folder`);
  const folder = (found: readonly string[]): Needed => ({ files: found.map((p) => prefix + p), at: path ?? "" });
  if (use === "model" && inside.includes("model_index.json")) {
    const parts = NETWORKS.filter((part) => inside.some((p) => p.startsWith(`${part}/`)));
    const own = inside.filter((p) => /^(model_index\.json|(scheduler|tokenizer)\/[^/]+\.(json|txt))$/.test(p));
    return folder([...own, ...parts.flatMap((part) => componentFiles(text, part, inside, prefix, options))]);
  }
  const texts = inside.filter((p) => /^[^/]+\.(json|txt)$/.test(p));
  if (use === "texts" && texts.length > 0) return folder(texts);
  if (use === "component" && inside.includes("config.json"))
    return folder(componentFiles(text, "", inside, prefix, options));
  const candidates = inside.filter((p) => !p.includes("/") && WEIGHTS.test(p));
  if (candidates.length === 1) return { files: [prefix + candidates[0]!], at: prefix + candidates[0]! };
  if (candidates.length === 0)
    throw new CheckpointError(
      `${text} has no ${use === "model" ? "model_index.json" : use === "component" ? "config.json" : "weights"} and no single weight file at its top; name a file or folder in it: ${text}/…`,
    );
  const shown = candidates.slice(0, 8).join(", ") + (candidates.length > 8 ? ", …" : "");
  throw new CheckpointError(`${text} has several files that could be meant; name one, as ${text}/<file>: ${shown}`);
}

/** config.json and the weights of a component, all shards of them. */
function componentFiles(
  repo: string,
  part: string,
  inside: readonly string[],
  repoPrefix: string,
  { half = false, have = () => false }: NeededOptions,
): readonly string[] {
  const prefix = part === "" ? "" : `${part}/`;
  const here = inside.filter((p) => p.startsWith(prefix)).map((p) => p.slice(prefix.length));
  const configs = here.filter((p) => /^(config|preprocessor_config)\.json$/.test(p));
  const choose = (variant?: string): string | undefined => {
    try {
      return chooseWeights(`${repo}/${part}`, here, variant === undefined ? {} : { variant });
    } catch (error) {
      if (variant === undefined) throw error;
      return undefined;
    }
  };
  const whole = choose()!;
  const small = choose("fp16");
  const present = [whole, small].find((file) => file !== undefined && have(repoPrefix + prefix + file));
  const file = present ?? (half && small !== undefined && better(small, whole) ? small : whole);
  return [...configs, file, ...shardsOf(file, here)].map((p) => prefix + p);
}

/** Safetensors are never given up for a torch file that is smaller. */
function better(small: string, whole: string): boolean {
  return small.includes(".safetensors") || !whole.includes(".safetensors");
}

/** The shards that an index of this name lists: `model.safetensors.index.fp16.json` → `model-00001-of-00002.fp16.safetensors`, in either order of its parts. */
function shardsOf(index: string, here: readonly string[]): readonly string[] {
  const [, stem, before = "", suffix, after = ""] =
    /^(\w+)(\.\w+)?\.(safetensors|bin)\.index(\.\w+)?\.json$/.exec(index) ?? [];
  if (stem === undefined) return [];
  const variant = before + after;
  const pattern = new RegExp(`^${stem}(\\.\\w+)?-\\d+-of-\\d+(\\.\\w+)?\\.${suffix}$`);
  return here.filter((p) => {
    const [all, first = "", second = ""] = pattern.exec(p) ?? [];
    return all !== undefined && first + second === variant;
  });
}
