// T2I-Adapters in diffusers' names (`adapter.body.1.resnets.0.block1`) as the original files have them: full adapters number all
// blocks in one list (`body.2.block1`), light ones list them in their level (`body.1.body.0.block1`).

import type { WeightFile } from "../weight-files.js";
import { renameWeights, type Origin } from "./renamed.js";

/** A T2I-Adapter's file in the original names; the same file where it has them already. Closing the view closes the file. */
export function readT2IAdapter(file: WeightFile): WeightFile {
  const names = [...file.entries()].map((e) => e.name);
  const bare = (name: string) => name.replace(/^(module\.)?(adapter\.)?/, "");
  if (!names.some((n) => n !== bare(n) || n.includes(".resnets."))) return file;
  const light = !names.some((n) => bare(n).startsWith("conv_in."));
  const resnets = names.map((n) => Number(/^body\.0\.resnets\.(\d+)\./.exec(bare(n))?.[1] ?? -1));
  const perLevel = Math.max(...resnets) + 1;
  const original = (name: string): string => {
    if (perLevel === 0) return bare(name);
    const [, level, block, rest] = /^body\.(\d+)\.resnets\.(\d+)\.(.+)$/.exec(bare(name)) ?? [];
    if (light) return bare(name).replace(/\.resnets\./, ".body.");
    if (rest !== undefined) return `body.${Number(level) * perLevel + Number(block)}.${rest}`;
    // What widens a level belongs to its first block.
    return bare(name).replace(/^body\.(\d+)\.in_conv\./, (_, l: string) => `body.${Number(l) * perLevel}.in_conv.`);
  };
  return renameWeights(file, new Map(names.map((name): [string, Origin] => [original(name), { from: name }])));
}
