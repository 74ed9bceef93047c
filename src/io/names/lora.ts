// LoRA files of every spelling as one list of changes by diffusers module: kohya (`lora_unet_…lora_down.weight`, also with
// LDM's block names), diffusers and peft (`unet.….lora_A.weight`, `….lora.down.weight`), attention processors
// (`….processor.to_q_lora.down.weight`), AnimateDiff's motion LoRAs; LoCon's mid, DoRA's scales, LoHa, LoKr, whole differences.
// What a change means: lora-delta.ts.

import { CheckpointError, quoted } from "../errors.js";
import type { WeightFile } from "../weight-files.js";
import { kohyaModules, knownModule, type KnownModule, type LoraTarget } from "./modules.js";
import { motionName } from "./motion.js";

interface ModuleBase {
  readonly target: LoraTarget;
  /** Divided by `rank` it scales the change. Where the file says nothing it is the rank. */
  readonly alpha: number;
  readonly rank: number;
  /** Names of tensors in the file from here on. DoRA's magnitudes, `[out, 1…]`. */
  readonly doraScale?: string;
}

/** up · (mid ·) down: `down [r, in, k…]`, `up [out, r, 1…]`, `mid [r, r, k, k]`. */
export interface LowRank extends ModuleBase {
  readonly type: "lora";
  readonly down: string;
  readonly up: string;
  readonly mid?: string;
}

/** (w1a · w1b) ⊙ (w2a · w2b), with Tucker cores t1, t2 for convolutions. */
export interface Hadamard extends ModuleBase {
  readonly type: "loha";
  readonly w1a: string;
  readonly w1b: string;
  readonly w2a: string;
  readonly w2b: string;
  readonly t1?: string;
  readonly t2?: string;
}

/** w1 ⊗ w2, each whole or as a product; `rank` 0 and scale 1 where both are whole. */
export interface Kronecker extends ModuleBase {
  readonly type: "lokr";
  readonly w1: readonly [string] | readonly [string, string];
  readonly w2: readonly [string] | readonly [string, string];
  readonly t2?: string;
}

/** A whole difference of the weight, and of the bias. */
export interface Difference extends ModuleBase {
  readonly type: "diff";
  readonly diff: string;
  readonly bias?: string;
}

export type LoraModule = LowRank | Hadamard | Kronecker | Difference;

/** A LoRA file, matched to Stable Diffusion 1.5's modules. */
export interface Lora {
  readonly name: string;
  /** `motion` where motion modules are changed, else `spatial` where the UNet is, else `text`. */
  readonly kind: "spatial" | "motion" | "text";
  /** By diffusers module name: `down_blocks.…`, `text_model.…`; in file order. */
  readonly modules: ReadonlyMap<string, LoraModule>;
  /** Modules of the file that Stable Diffusion 1.5 does not have, or whose tensors make no known form. */
  readonly unmatched: readonly string[];
  /** The spellings found. */
  readonly spellings: readonly LoraSpelling[];
}

export type LoraSpelling = "kohya" | "diffusers" | "peft" | "attention processor" | "lycoris";

/** Ends of tensor names → part of a change, longest first; the spelling each gives away. */
const PARTS: readonly (readonly [RegExp, string, LoraSpelling?])[] = [
  [/\.lora_down\.weight$/, "down", "kohya"],
  [/\.lora_up\.weight$/, "up", "kohya"],
  [/\.lora_mid\.weight$/, "mid", "kohya"],
  [/\.lora_A(\.\w+)?\.weight$/, "down", "peft"],
  [/\.lora_B(\.\w+)?\.weight$/, "up", "peft"],
  [/\.lora_magnitude_vector(\.\w+)?(\.weight)?$/, "dora", "peft"],
  [/\.lora_linear_layer\.down\.weight$/, "down", "diffusers"],
  [/\.lora_linear_layer\.up\.weight$/, "up", "diffusers"],
  [/\.lora\.down\.weight$/, "down", "diffusers"],
  [/\.lora\.up\.weight$/, "up", "diffusers"],
  [/_lora\.down\.weight$/, "down", "attention processor"],
  [/_lora\.up\.weight$/, "up", "attention processor"],
  [/_lora\.alpha$/, "alpha"],
  [/\.alpha$/, "alpha"],
  [/\.dora_scale$/, "dora"],
  [/\.(hada_w[12]_[ab]|hada_t[12])$/, "$1", "lycoris"],
  [/\.(lokr_w[12](_[ab])?|lokr_t2)$/, "$1", "lycoris"],
  [/\.(diff|diff_b)$/, "$1", "lycoris"],
  [/\.w_norm$/, "diff", "lycoris"],
  [/\.b_norm$/, "diff_b", "lycoris"],
];

/** Which module and part a tensor's name means; undefined where it is none of a LoRA. */
export function loraPart(
  name: string,
): { readonly module: string; readonly part: string; readonly spelling: LoraSpelling | undefined } | undefined {
  for (const [pattern, part, spelling] of PARTS) {
    const m = pattern.exec(name);
    if (m) return { module: name.slice(0, m.index), part: part === "$1" ? m[1]! : part, spelling };
  }
  return undefined;
}

/** The diffusers module that a LoRA's module name means. */
function resolve(module: string): KnownModule | undefined {
  const kohya = kohyaModules().get(module);
  if (kohya) return kohya;
  const plain = module
    .replace(/^(module\.|base_model\.model\.|unet\.|text_encoder\.)+/, "")
    .replace(/\.processor\.to_/, ".to_")
    .replace(/\.to_out(_lora)?$/, ".to_out.0");
  // The text encoder's attention was called as the UNet's in diffusers' first files.
  const text = plain.replace(/^(text_model\..*self_attn\.)to_(q|k|v|out)(\.0)?$/, "$1$2_proj");
  return knownModule(text) ?? knownModule(motionName(plain) ?? "");
}

/**
 * Reads which modules a LoRA file changes and how; of the tensors only alphas are read.
 * @throws CheckpointError when the file is no LoRA, or a change's tensors do not fit each other
 */
export async function readLora(file: WeightFile): Promise<Lora> {
  const groups = new Map<string, Map<string, string>>();
  const spellings = new Set<LoraSpelling>();
  for (const { name } of file.entries()) {
    const found = loraPart(name);
    if (!found) continue;
    if (found.spelling) spellings.add(found.spelling);
    const group = groups.get(found.module) ?? new Map<string, string>();
    group.set(found.part, name);
    groups.set(found.module, group);
  }
  const alphas = adapterAlphas(file.metadata);
  const modules = new Map<string, LoraModule>();
  const unmatched: string[] = [];
  for (const [spelled, parts] of groups) {
    const known = resolve(spelled);
    const made = known && (await moduleOf(file, spelled, known, parts, alphas));
    if (!made) unmatched.push(spelled);
    else if (modules.has(known.name)) throw new CheckpointError(`${file.name} changes ${known.name} twice`);
    else modules.set(known.name, made);
  }
  if (groups.size === 0)
    throw new CheckpointError(
      `${file.name} is no LoRA: none of its tensors is named like lora_down, lora_A, hada_ or lokr_`,
    );
  const targets = new Set([...modules.values()].map((m) => m.target));
  return {
    name: file.name,
    kind: targets.has("motion") ? "motion" : targets.has("unet") || targets.size === 0 ? "spatial" : "text",
    modules,
    unmatched,
    spellings: [...spellings],
  };
}

type Alphas = (module: string) => number | undefined;

/** Alphas from the settings that diffusers keeps in the metadata (`lora_adapter_metadata`). */
function adapterAlphas(metadata: ReadonlyMap<string, string>): Alphas {
  let settings: unknown;
  try {
    settings = JSON.parse(metadata.get("lora_adapter_metadata") ?? "{}");
  } catch {
    return () => undefined;
  }
  const all =
    typeof settings === "object" && settings !== null
      ? new Map<string, unknown>(Object.entries(settings))
      : new Map<string, unknown>();
  return (module) => {
    const network = /^(unet|text_encoder)\./.exec(module)?.[1];
    const pattern = all.get(`${network ?? ""}.alpha_pattern`);
    const local = module.replace(/^(unet|text_encoder)\./, "");
    const special =
      typeof pattern === "object" && pattern !== null
        ? Object.entries(pattern).find(([key]) => local === key || local.endsWith(`.${key}`))?.[1]
        : undefined;
    const value: unknown = special ?? all.get(`${network ?? ""}.lora_alpha`);
    return typeof value === "number" ? value : undefined;
  };
}

async function moduleOf(
  file: WeightFile,
  spelled: string,
  { name, target }: KnownModule,
  parts: ReadonlyMap<string, string>,
  alphas: Alphas,
): Promise<LoraModule | undefined> {
  const shape = (part: string) => file.entry(parts.get(part)!).shape;
  const has = (...wanted: readonly string[]) => wanted.every((p) => parts.has(p));
  /** `{ key: name }` for every part that is there. */
  const optional = <T extends Readonly<Record<string, string>>>(wanted: T): { [K in keyof T]?: string } => {
    const found: { [K in keyof T]?: string } = {};
    for (const key in wanted) {
      const tensor = parts.get(wanted[key]!);
      if (tensor !== undefined) found[key] = tensor;
    }
    return found;
  };
  const wrong = () =>
    new CheckpointError(
      `${file.name}: the tensors of ${quoted(spelled)} do not fit each other: ${[...parts.values()].map((n) => `${n} [${file.entry(n).shape.join(", ")}]`).join(", ")}`,
    );
  const alphaFor = async (rank: number): Promise<number> => {
    const stored = parts.get("alpha");
    if (stored === undefined) return alphas(spelled) ?? rank;
    if (file.entry(stored).shape.some((s) => s !== 1)) throw wrong();
    const value = new Float32Array((await file.read(stored, "f32")).slice().buffer)[0]!;
    if (!Number.isFinite(value))
      throw new CheckpointError(`${file.name}: the alpha of ${quoted(spelled)} (${name}) is ${value}`);
    return value;
  };
  if (has("down", "up")) {
    const [down, up] = [shape("down"), shape("up")];
    const rank = down[0] ?? 0;
    const mid = parts.has("mid") ? shape("mid") : undefined;
    if (
      rank === 0 ||
      down.length < 2 ||
      up.length < 2 ||
      up[1] !== rank ||
      (mid && (mid.length !== 4 || mid[0] !== rank || mid[1] !== rank))
    )
      throw wrong();
    return {
      type: "lora",
      target,
      alpha: await alphaFor(rank),
      rank,
      down: parts.get("down")!,
      up: parts.get("up")!,
      ...optional({ mid: "mid", doraScale: "dora" }),
    };
  }
  if (has("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")) {
    const rank = shape("hada_w1_b")[0] ?? 0;
    if (rank === 0 || shape("hada_w2_b")[0] !== rank || parts.has("hada_t1") !== parts.has("hada_t2")) throw wrong();
    return {
      type: "loha",
      target,
      alpha: await alphaFor(rank),
      rank,
      w1a: parts.get("hada_w1_a")!,
      w1b: parts.get("hada_w1_b")!,
      w2a: parts.get("hada_w2_a")!,
      w2b: parts.get("hada_w2_b")!,
      ...optional({ t1: "hada_t1", t2: "hada_t2", doraScale: "dora" }),
    };
  }
  const factor = (n: 1 | 2): readonly [string] | readonly [string, string] | undefined => {
    const whole = parts.get(`lokr_w${n}`);
    if (whole !== undefined) return [whole];
    const [a, b] = [parts.get(`lokr_w${n}_a`), parts.get(`lokr_w${n}_b`)];
    return a === undefined || b === undefined ? undefined : [a, b];
  };
  const [w1, w2] = [factor(1), factor(2)];
  if (w1 && w2) {
    const product = [w1, w2].find((w) => w.length === 2);
    const rank = product ? (file.entry(product[1]).shape[0] ?? 0) : 0;
    // lycoris scales by alpha / rank only where a factor has a rank.
    return {
      type: "lokr",
      target,
      alpha: product ? await alphaFor(rank) : 0,
      rank,
      w1,
      w2,
      ...optional({ t2: "lokr_t2", doraScale: "dora" }),
    };
  }
  if (has("diff"))
    return { type: "diff", target, alpha: 1, rank: 1, diff: parts.get("diff")!, ...optional({ bias: "diff_b" }) };
  return undefined;
}
