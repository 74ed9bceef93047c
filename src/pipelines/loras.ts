// LoRAs merged into raw weights while they load, in f32, rounded once when the result is packed. Low-rank changes are
// multiplied on the device, the other forms (LoHa, LoKr, whole differences) on the host. In a stack every change is one of
// the base weight, as where diffusers runs several adapters at once: their order does not matter.

import { dora } from "../../kernels/dora.js";
import { linearCombination } from "../../kernels/linear-combination.js";
import { mergeLora, type LoraTerm } from "../../kernels/merge-lora.js";
import type { Device } from "../gpu/device.js";
import type { ByteSource } from "../io/byte-source.js";
import { CheckpointError } from "../io/errors.js";
import { contentHash, headerHash } from "../io/checkpoint-hash.js";
import { identify } from "../io/names/identify.js";
import { loraDelta } from "../io/names/lora-delta.js";
import { readLora, type LoraModule } from "../io/names/lora.js";
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
  /** Tells its content from that of other files: see contentHash. */
  readonly content: string;
}

/** A LoRA file and how strongly it acts: 1 as trained, 0 not at all, below 0 the opposite. */
export interface LoraSource {
  readonly source: ByteSource;
  readonly weight: number;
}

/** One file's change of one weight. */
interface Change {
  readonly file: WeightFile;
  readonly module: LoraModule;
  /** The user's weight. */
  readonly weight: number;
  /** Whether it is the module's bias that changes. */
  readonly bias: boolean;
}

/** Values on the host with their shape in the file. */
interface HostTensor {
  readonly name: string;
  readonly values: Float32Array;
  readonly shape: readonly number[];
}

/** A change with its values read, ready to be merged: `scale` · up · (mid ·) down, or `scale` · delta. */
type ReadChange = (
  | {
      readonly kind: "low-rank";
      readonly up: HostTensor;
      readonly down: HostTensor;
      readonly mid: HostTensor | undefined;
      readonly scale: number;
    }
  | { readonly kind: "whole"; readonly delta: Float32Array; readonly scale: number }
) & { readonly dora: { readonly magnitude: HostTensor; readonly per: "output" | "input" } | undefined };

/** LoRAs, opened and matched to the networks' weights. */
export interface Loras {
  readonly info: readonly LoraInfo[];
  /** Names of the weights that change. */
  changed(network: Network): ReadonlySet<string>;
  /** What the loading of a network does to each raw weight. */
  patch(network: Network): Patch;
  close(): Promise<void>;
}

type Network = "text" | "unet" | "vae";

/**
 * Opens LoRA files of any spelling and form and matches them to the networks.
 * @throws CheckpointError for a file that is none, or that changes nothing here
 */
export async function openLoras(
  device: Device,
  files: readonly LoraSource[],
  stores: Readonly<Record<Network, WeightStore>>,
): Promise<Loras> {
  const shapes: Record<Network, Map<string, readonly number[]>> = { text: new Map(), unet: new Map(), vae: new Map() };
  for (const network of ["text", "unet"] as const)
    for (const { name, shape } of stores[network].wanted()) shapes[network].set(name, shape);
  const changes: Record<Network, Map<string, Change[]>> = { text: new Map(), unet: new Map(), vae: new Map() };
  const info: LoraInfo[] = [];
  const open: WeightFile[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(open.map((f) => f.close()));
  };
  try {
    for (const { source, weight } of files) {
      if (!Number.isFinite(weight)) throw new Error(`the weight of ${source.name} is ${weight}, expected a number`);
      const file = await openWeights(source);
      open.push(file);
      const { kind, description } = identify(file);
      if (kind !== "lora" && kind !== "unknown")
        throw new CheckpointError(`${file.name} is no LoRA: it is ${description}`);
      const lora = await readLora(file);
      let matched = 0;
      for (const [name, module] of lora.modules) {
        const network = (["unet", "text"] as const).find((n) => shapes[n].has(`${name}.weight`));
        if (!network) continue;
        matched++;
        if (weight === 0) continue;
        const add = (key: string, bias: boolean) =>
          changes[network].set(key, [...(changes[network].get(key) ?? []), { file, module, weight, bias }]);
        add(`${name}.weight`, false);
        if (module.type === "diff" && module.bias !== undefined && shapes[network].has(`${name}.bias`))
          add(`${name}.bias`, true);
      }
      const total = lora.modules.size + lora.unmatched.length;
      if (matched === 0)
        throw new CheckpointError(
          `${file.name}: none of its ${total} LoRA modules match this model; it is made for another model family`,
        );
      const first = [...lora.modules.values()][0];
      info.push({
        name: file.name,
        weight,
        matched,
        total,
        rank: first?.rank ?? 0,
        alpha: first?.alpha ?? 0,
        hash: await headerHash(file),
        content: await contentHash(file),
      });
    }
  } catch (error) {
    await close();
    throw error;
  }

  return {
    info,
    close,
    changed: (network) => new Set(changes[network].keys()),
    patch: (network) => {
      const ready = new Map<string, readonly ReadChange[]>();
      return {
        prepare: async (name) => {
          const found = changes[network].get(name);
          if (found) ready.set(name, await Promise.all(found.map((c) => read(c, shapes[network].get(name)!))));
        },
        apply: (name, raw) => {
          const found = ready.get(name);
          ready.delete(name);
          return found ? merge(device, raw, found) : raw;
        },
      };
    },
  };
}

async function read({ file, module, weight, bias }: Change, shape: readonly number[]): Promise<ReadChange> {
  const tensor = async (name: string): Promise<HostTensor> => ({
    name,
    values: new Float32Array((await file.read(name, "f32")).slice().buffer),
    shape: file.entry(name).shape,
  });
  if (bias && module.type === "diff") {
    const { values } = await tensor(module.bias!);
    if (values.length !== elements(shape))
      throw new CheckpointError(`${file.name}: ${module.bias!} does not fit a bias [${shape.join(", ")}]`);
    return { kind: "whole", delta: values, scale: weight, dora: undefined };
  }
  const dora =
    module.doraScale === undefined ? undefined : magnitudes(file, module, await tensor(module.doraScale), shape);
  if (module.type !== "lora")
    return { kind: "whole", delta: await loraDelta(file, module, shape), scale: weight, dora };
  const { rank, alpha } = module;
  const [up, down] = [await tensor(module.up), await tensor(module.down)];
  const mid = module.mid === undefined ? undefined : await tensor(module.mid);
  const n = shape[0] ?? 0;
  if (up.values.length !== n * rank || (!mid && down.values.length * n !== rank * elements(shape)))
    throw new CheckpointError(
      `${file.name}: ${down.name} and ${up.name} of rank ${rank} do not fit a weight [${shape.join(", ")}]; the LoRA is made for another model`,
    );
  return { kind: "low-rank", up, down, mid, scale: (weight * alpha) / rank, dora };
}

/** What a DoRA's magnitudes are lengths of: outputs, as peft has it ([out], [1, out, 1, 1]) and LyCORIS ([out, 1…]), or inputs ([1, in…]). */
function magnitudes(
  file: WeightFile,
  module: LoraModule,
  magnitude: HostTensor,
  shape: readonly number[],
): { readonly magnitude: HostTensor; readonly per: "output" | "input" } {
  const [out = 0, inputs = 0] = shape;
  const count = magnitude.values.length;
  const peft = magnitude.name.includes("lora_magnitude_vector");
  if (count === out && (peft || magnitude.shape[0] === out)) return { magnitude, per: "output" };
  if (count === inputs) return { magnitude, per: "input" };
  throw new CheckpointError(
    `${file.name}: ${magnitude.name} has ${count} magnitudes for a weight [${shape.join(", ")}] (${module.type}); the LoRA is made for another model`,
  );
}

/** W + Σ changes, f32 in W's shape. */
function merge(device: Device, raw: Tensor, changes: readonly ReadChange[]): Tensor {
  const label = `merge LoRA ${raw.label}`;
  const put = ({ values, shape, name }: HostTensor) => Tensor.from(device, values, shape, "f32", name);
  const term = (c: ReadChange & { kind: "low-rank" }): LoraTerm => ({
    up: put(c.up),
    down: put(c.down),
    mid: c.mid && put(c.mid),
    scale: c.scale,
  });
  const whole = (c: ReadChange & { kind: "whole" }) =>
    [Tensor.from(device, c.delta, raw.shape, "f32", "LoRA difference"), c.scale] as const;
  const plain = changes.filter((c) => !c.dora);
  let sum = mergeLora(
    raw,
    plain.flatMap((c) => (c.kind === "low-rank" ? [term(c)] : [])),
    label,
  );
  for (const c of plain) if (c.kind === "whole") sum = linearCombination([[sum, 1], whole(c)], label);
  for (const c of changes) {
    if (!c.dora) continue;
    const base = mergeLora(raw, [], label);
    const v =
      c.kind === "low-rank" ? mergeLora(raw, [term(c)], label) : linearCombination([[base, 1], whole(c)], label);
    sum = linearCombination(
      [
        [sum, 1],
        [dora(v, put(c.dora.magnitude), base, c.dora.per), 1],
      ],
      label,
    );
  }
  return sum;
}
