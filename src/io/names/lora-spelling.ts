// A LoRA under other names: kohya's (`lora_unet_down_blocks_…lora_down.weight`), which every form has, or diffusers' and peft's
// (`unet.down_blocks.….lora_A.weight`), whose alphas go to the metadata as diffusers' writer puts them.

import { CheckpointError } from "../errors.js";
import type { StoredType } from "../stored-types.js";
import type { WeightFile } from "../weight-files.js";
import type { Lora, LoraModule } from "./lora.js";

/** A tensor of the result: one of the file's, seen in `shape`, or an alpha. */
export interface SpelledTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: StoredType;
  /** The file's name of it, or the value of a scalar. */
  readonly from: string | number;
}

export interface SpelledLora {
  readonly tensors: readonly SpelledTensor[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** The tensors of a module by the ends of kohya's and LyCORIS's names. */
function parts(m: LoraModule): readonly (readonly [end: string, from: string])[] {
  const list: (readonly [string, string | undefined])[] = [["dora_scale", m.doraScale]];
  switch (m.type) {
    case "lora":
      list.push(["lora_down.weight", m.down], ["lora_up.weight", m.up], ["lora_mid.weight", m.mid]);
      break;
    case "loha":
      list.push(["hada_w1_a", m.w1a], ["hada_w1_b", m.w1b], ["hada_w2_a", m.w2a], ["hada_w2_b", m.w2b]);
      list.push(["hada_t1", m.t1], ["hada_t2", m.t2]);
      break;
    case "lokr":
      for (const [key, w] of [
        ["lokr_w1", m.w1],
        ["lokr_w2", m.w2],
      ] as const)
        if (w.length === 1) list.push([key, w[0]]);
        else list.push([`${key}_a`, w[0]], [`${key}_b`, w[1]]);
      list.push(["lokr_t2", m.t2]);
      break;
    case "diff":
      list.push(["diff", m.diff], ["diff_b", m.bias]);
  }
  return list.filter((p): p is readonly [string, string] => p[1] !== undefined);
}

/** kohya's spelling, with every alpha written. Modules unknown here are left out (`lora.unmatched`). */
export function kohyaSpelling(file: WeightFile, lora: Lora): SpelledLora {
  const tensors: SpelledTensor[] = [];
  for (const [name, module] of lora.modules) {
    const at = `lora_${module.target === "text" ? "te" : "unet"}_${name.replaceAll(".", "_")}`;
    for (const [end, from] of parts(module)) {
      const { shape, dtype } = file.entry(from);
      const out = shape.reduce((n, s) => n * s, 1);
      // peft keeps magnitudes as [out] or [1, out, 1, 1]; kohya's trainers as [out, 1…].
      const peft = end === "dora_scale" && from.includes("lora_magnitude_vector");
      const down = module.type === "lora" ? file.entry(module.down).shape.length : 2;
      tensors.push({
        name: `${at}.${end}`,
        shape: peft ? [out, ...Array.from({ length: down - 1 }, () => 1)] : shape,
        dtype,
        from,
      });
    }
    if (module.type !== "diff" && module.rank > 0)
      tensors.push({ name: `${at}.alpha`, shape: [], dtype: "F32", from: module.alpha });
  }
  return { tensors, metadata: new Map(file.metadata) };
}

/**
 * peft's names under diffusers' prefixes.
 * @throws CheckpointError for forms that peft's plain LoRA does not have
 */
export function diffusersSpelling(file: WeightFile, lora: Lora): SpelledLora {
  const tensors: SpelledTensor[] = [];
  const settings: Record<string, unknown> = {};
  for (const network of ["unet", "text_encoder"] as const) {
    const modules = [...lora.modules].filter(([, m]) => (m.target === "text") === (network === "text_encoder"));
    if (modules.length === 0) continue;
    for (const [name, module] of modules) {
      if (module.type !== "lora" || module.mid !== undefined)
        throw new CheckpointError(
          `${file.name}: ${name} is changed by ${module.type === "lora" ? "LoCon's mid matrix" : `a ${module.type}`}, which diffusers' LoRA files do not have; --names kohya keeps it`,
        );
      const at = `${network}.${name}`;
      const add = (end: string, from: string, shape = file.entry(from).shape) =>
        tensors.push({ name: `${at}.${end}`, shape, dtype: file.entry(from).dtype, from });
      add("lora_A.weight", module.down);
      add("lora_B.weight", module.up);
      if (module.doraScale === undefined) continue;
      const { shape } = file.entry(module.doraScale);
      const out = shape.reduce((n, s) => n * s, 1);
      const convolution = file.entry(module.down).shape.length === 4;
      if (out !== file.entry(module.up).shape[0])
        throw new CheckpointError(
          `${file.name}: ${module.doraScale} holds lengths of inputs, which diffusers' LoRA files do not have; --names kohya keeps it`,
        );
      add("lora_magnitude_vector", module.doraScale, convolution ? [1, out, 1, 1] : [out]);
    }
    Object.assign(settings, prefixed(network, modules));
  }
  return { tensors, metadata: new Map([["lora_adapter_metadata", JSON.stringify(settings)]]) };
}

/** peft's settings of a network's LoRA: the most common rank and alpha, and patterns for the others. */
function prefixed(network: string, modules: readonly (readonly [string, LoraModule])[]): Record<string, unknown> {
  const common = (values: readonly number[]) => {
    const counts = new Map<number, number>();
    for (const v of values) counts.set(v, (counts.get(v) ?? 0) + 1);
    return [...counts].reduce((best, x) => (x[1] > best[1] ? x : best))[0];
  };
  const r = common(modules.map(([, m]) => m.rank));
  const alpha = common(modules.map(([, m]) => m.alpha));
  const pattern = (key: "rank" | "alpha", usual: number) =>
    Object.fromEntries(modules.filter(([, m]) => m[key] !== usual).map(([name, m]) => [name, m[key]]));
  const settings = {
    peft_type: "LORA",
    r,
    lora_alpha: alpha,
    rank_pattern: pattern("rank", r),
    alpha_pattern: pattern("alpha", alpha),
    target_modules: modules.map(([name]) => name),
    use_dora: modules.some(([, m]) => m.doraScale !== undefined),
  };
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${network}.${key}`, value]));
}
