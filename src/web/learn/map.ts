// The network as a map: dispatches' times gathered by the part of the network that their labels name. Pure functions.

import type { KernelTime } from "../engine/protocol.js";

export type Network = "text" | "unet" | "decoder";

export type PartKind = "embed" | "layer" | "resnet" | "attention" | "motion" | "down" | "up" | "in" | "out" | "sampler";

/** A part of a block: one resnet, one attention, … */
export interface Part {
  /** As in the checkpoint: down_blocks.0.resnets.1 */
  readonly name: string;
  readonly kind: PartKind;
  readonly title: string;
  readonly ms: number;
  readonly flops: number;
  readonly kernels: readonly KernelTime[];
}

export interface Block {
  readonly name: string;
  readonly title: string;
  readonly ms: number;
  readonly parts: readonly Part[];
}

export interface NetworkMap {
  readonly text: readonly Block[];
  readonly down: readonly Block[];
  readonly mid: readonly Block[];
  readonly up: readonly Block[];
  readonly decoder: readonly Block[];
  /** What belongs to no network: the sampler's arithmetic, copies. */
  readonly rest: readonly Block[];
  readonly ms: number;
  /** The slowest part's time, for colouring. */
  readonly most: number;
}

interface Place {
  readonly column: keyof Omit<NetworkMap, "ms" | "most">;
  readonly block: string;
  readonly part: string;
  readonly kind: PartKind;
  readonly title: string;
}

const KINDS: Readonly<Record<string, readonly [PartKind, string]>> = {
  resnets: ["resnet", "ResNet"],
  attentions: ["attention", "Attention"],
  motion_modules: ["motion", "Motion"],
  downsamplers: ["down", "Smaller"],
  upsamplers: ["up", "Larger"],
};

/** Where a label belongs. The first word of a label is its kernel. */
export function placeOf(label: string): Place {
  const name = label.split(" ")[1] ?? "";
  const text = /^text_model\.(?:encoder\.layers\.(\d+)|(\w+))/.exec(name);
  if (text) {
    const [, layer, other] = text;
    return layer === undefined
      ? {
          column: "text",
          block: "ends",
          part: `text_model.${other}`,
          kind: "embed",
          title: words(other ?? ""),
        }
      : {
          column: "text",
          block: `layer ${layer}`,
          part: `text_model.encoder.layers.${layer}`,
          kind: "layer",
          title: "Layer",
        };
  }
  const decoder = /^(decoder\.|post_quant_conv|encoder\.|quant_conv)/.test(name);
  const inner = name.replace(/^(decoder|encoder)\./, "");
  const found = /^((?:down|up)_blocks\.(\d+)|mid_block)\.(\w+)\.(\d+)/.exec(inner);
  if (found) {
    const [path = "", block = "", , group = "", index = ""] = found;
    const [kind, title] = KINDS[group] ?? (["out", group] as const);
    const side = block.startsWith("down") ? "down" : block.startsWith("up") ? "up" : "mid";
    const prefix = decoder ? `${name.split(".")[0]}.` : "";
    return { column: decoder ? "decoder" : side, block, part: prefix + path, kind, title: `${title} ${index}` };
  }
  const ends = /^(conv_in|conv_out|conv_norm_out|post_quant_conv|quant_conv|time_embedding|time_proj)/.exec(inner);
  if (ends) {
    const [part = ""] = ends;
    const first = part === "conv_in" || part.startsWith("time") || part.includes("quant");
    return {
      column: decoder ? "decoder" : first ? "down" : "up",
      block: first ? "in" : "out",
      part: decoder ? `decoder.${part}` : part,
      kind: first ? "in" : "out",
      title: words(part),
    };
  }
  const kernel = label.split(" ")[0] ?? label;
  return { column: "rest", block: "around it", part: kernel, kind: "sampler", title: kernel };
}

function words(name: string): string {
  return name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
}

const BLOCKS: Readonly<Record<string, string>> = {
  mid_block: "Middle",
  in: "In",
  out: "Out",
  ends: "Before and after",
};

function blockTitle(name: string): string {
  const [, side, index] = /^(down|up)_blocks\.(\d+)$/.exec(name) ?? [];
  if (side !== undefined) return `${side === "down" ? "Down" : "Up"} ${index}`;
  return BLOCKS[name] ?? words(name);
}

/** Gathers times; blocks and parts come in the order in which data passes them. */
export function mapOf(kernels: readonly KernelTime[]): NetworkMap {
  const columns: Record<Place["column"], Map<string, Map<string, { place: Place; kernels: KernelTime[] }>>> = {
    text: new Map(),
    down: new Map(),
    mid: new Map(),
    up: new Map(),
    decoder: new Map(),
    rest: new Map(),
  };
  for (const k of kernels) {
    const place = placeOf(k.label);
    const blocks = columns[place.column];
    const parts = blocks.get(place.block) ?? new Map<string, { place: Place; kernels: KernelTime[] }>();
    blocks.set(place.block, parts);
    const part = parts.get(place.part) ?? { place, kernels: [] };
    part.kernels.push(k);
    parts.set(place.part, part);
  }
  let most = 0;
  const list = (column: Place["column"]): Block[] =>
    [...columns[column]]
      .map(([name, parts]): Block => {
        const all = [...parts.values()].map(({ place, kernels: of }): Part => {
          const ms = of.reduce((n, k) => n + k.ms, 0);
          most = Math.max(most, ms);
          return {
            name: place.part,
            kind: place.kind,
            title: place.title,
            ms,
            flops: of.reduce((n, k) => n + k.flops, 0),
            kernels: of.toSorted((a, b) => b.ms - a.ms),
          };
        });
        return {
          name,
          title: blockTitle(name),
          ms: all.reduce((n, p) => n + p.ms, 0),
          parts: all.toSorted(byOrder),
        };
      })
      .toSorted((a, b) => rank(a.name) - rank(b.name) || a.name.localeCompare(b.name, "en", { numeric: true }));
  const map = {
    text: list("text"),
    down: list("down"),
    mid: list("mid"),
    up: list("up"),
    decoder: list("decoder"),
    rest: list("rest"),
  };
  return { ...map, most, ms: kernels.reduce((n, k) => n + k.ms, 0) };
}

/** In first, mid_block of the decoder before its up blocks, out last. */
function rank(block: string): number {
  if (block === "in" || block === "ends") return 0;
  if (block === "mid_block") return 1;
  return block === "out" ? 3 : 2;
}

const ORDER: readonly PartKind[] = [
  "in",
  "embed",
  "layer",
  "resnet",
  "attention",
  "motion",
  "down",
  "up",
  "out",
  "sampler",
];

/** resnet 0, attention 0, motion 0, resnet 1, …: as data passes them. */
function byOrder(a: Part, b: Part): number {
  const index = (p: Part) => Number(/\.(\d+)$/.exec(p.name)?.[1] ?? 0);
  const last = (p: Part) => (p.kind === "down" || p.kind === "up" ? 1 : 0);
  return last(a) - last(b) || index(a) - index(b) || ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind);
}
