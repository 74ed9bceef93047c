// LoRAs merged into raw weights while they load: W + Σ weight · alpha / rank · up · down, in f32, rounded once when packed.

import { cast } from "../../kernels/elementwise.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import { matmul } from "../../kernels/matmul.js";
import type { Device } from "../gpu/device.js";
import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import { headerHash } from "../io/header-hash.js";
import { openWeights, type WeightFile } from "../io/weight-files.js";
import type { Patch, WeightStore } from "../nn/weights.js";
import { elements } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";

/** What became of one LoRA file. */
export interface LoraInfo {
  readonly name: string;
  readonly weight: number;
  /** Modules of the model that it changes, of those it names. */
  readonly matched: number;
  readonly total: number;
  /** Of its first module; files may mix them. */
  readonly rank: number;
  readonly alpha: number;
  /** sha256 of its header. */
  readonly hash: string;
}

/** One low-rank change of one weight, by its names in the file. */
interface Term {
  readonly file: WeightFile;
  readonly down: string;
  readonly up: string;
  readonly rank: number;
  /** weight · alpha / rank */
  readonly scale: number;
}

/** LoRAs, opened and matched to the networks' weights. */
export interface Loras {
  readonly info: readonly LoraInfo[];
  /** What the loading of a network does to each raw weight. */
  patch(network: Network): Patch;
  dispose(): void;
}

type Network = "text" | "unet" | "vae";

const PREFIXES: Readonly<Record<Network, string>> = { text: "lora_te_", unet: "lora_unet_", vae: "lora_vae_" };

/**
 * Opens LoRA files in kohya's spelling (`lora_unet_…lora_down.weight`, `.lora_up.weight`, `.alpha`) and matches them to
 * the networks. @throws CheckpointError for a file that changes nothing here, or is damaged
 */
export async function openLoras(
  device: Device,
  files: readonly { readonly source: ByteSource; readonly weight: number }[],
  stores: Readonly<Record<Network, WeightStore>>,
): Promise<Loras> {
  const targets = new Map<string, { network: Network; name: string }>();
  for (const [network, store] of Object.entries(stores) as [Network, WeightStore][])
    for (const { name } of store.wanted())
      if (name.endsWith(".weight"))
        targets.set(PREFIXES[network] + name.slice(0, -".weight".length).replaceAll(".", "_"), { network, name });

  const terms: Record<Network, Map<string, Term[]>> = { text: new Map(), unet: new Map(), vae: new Map() };
  const data = new Map<WeightFile, Map<string, Float32Array>>();
  const info: LoraInfo[] = [];
  for (const { source, weight } of files) {
    const file = await openWeights(source);
    const values = new Map<string, Float32Array>();
    data.set(file, values);
    const modules = [...file.entries()]
      .filter((e) => e.name.endsWith(".lora_down.weight"))
      .map((e) => e.name.slice(0, -".lora_down.weight".length));
    let matched = 0;
    let first: { rank: number; alpha: number } | undefined;
    for (const module of modules) {
      const target = targets.get(module);
      const down = `${module}.lora_down.weight`;
      const up = `${module}.lora_up.weight`;
      if (!target || !file.has(up)) continue;
      const rank = file.entry(down).shape[0] ?? 0;
      const read = async (name: string) => new Float32Array((await file.read(name, "f32")).slice().buffer);
      const alpha = file.has(`${module}.alpha`) ? ((await read(`${module}.alpha`))[0] ?? rank) : rank;
      values.set(down, await read(down));
      values.set(up, await read(up));
      const list = terms[target.network].get(target.name) ?? [];
      list.push({ file, down, up, rank, scale: (weight * alpha) / rank });
      terms[target.network].set(target.name, list);
      first ??= { rank, alpha };
      matched++;
    }
    if (matched === 0)
      throw new CheckpointError(
        `${source.name}: none of its ${modules.length} LoRA modules match this model; it is made for another model family, or in a spelling that is not read yet (kohya's lora_unet_… is)`,
      );
    info.push({
      name: source.name,
      weight,
      matched,
      total: modules.length,
      rank: first?.rank ?? 0,
      alpha: first?.alpha ?? 0,
      hash: await headerHash(file),
    });
  }

  return {
    info,
    patch: (network) => (name, raw) => {
      const changes = terms[network].get(name);
      return changes ? merge(device, raw, changes, data) : raw;
    },
    dispose: () => data.clear(),
  };
}

/** W + Σ scale · up · down as f32 `W.shape`; up is `[n, r]` (or `[n, r, 1, 1]`), down `[r, k…]`. */
function merge(
  device: Device,
  raw: Tensor,
  changes: readonly Term[],
  data: ReadonlyMap<WeightFile, ReadonlyMap<string, Float32Array>>,
): Tensor {
  const n = raw.shape[0] ?? 0;
  const k = elements(raw.shape) / n;
  const base = raw.dtype === "f32" ? raw : cast(raw, "f32");
  return changes.reduce((sum, { file, down, up, rank, scale }) => {
    const values = data.get(file)!;
    const [a, b] = [values.get(up)!, values.get(down)!];
    if (a.length !== n * rank || b.length !== rank * k)
      throw new CheckpointError(`${file.name}: ${down} and ${up} of rank ${rank} do not fit the weight ${String(raw)}`);
    const delta = matmul(
      Tensor.from(device, a, [n, rank], "f32", up),
      Tensor.from(device, b, [rank, k], "f32", down),
      "merge LoRA",
    );
    return linearCombination(
      [
        [sum, 1],
        [delta.reshape(raw.shape), scale],
      ],
      "merge LoRA",
    );
  }, base);
}
