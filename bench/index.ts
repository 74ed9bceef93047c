// All microbenchmarks, in the order in which they are printed.

import { cases as attention } from "./attention.bench.js";
import type { BenchCase } from "./case.js";
import { cases as conv2d } from "./conv2d.bench.js";
import { cases as elementwise } from "./elementwise.bench.js";
import { cases as groupNorm } from "./group-norm.bench.js";
import { cases as layerNorm } from "./layer-norm.bench.js";
import { cases as linear } from "./linear.bench.js";
import { cases as matmul } from "./matmul.bench.js";
import { cases as peak } from "./peak.bench.js";
import { cases as unet } from "./unet.bench.js";

export const cases: readonly BenchCase[] = [
  ...peak,
  ...matmul,
  ...conv2d,
  ...linear,
  ...attention,
  ...groupNorm,
  ...layerNorm,
  ...elementwise,
  ...unet,
];

/**
 * The cases of these names; a name ending in `*` stands for all that begin so; none for all.
 * @throws Error naming those there are
 */
export function casesNamed(names: readonly string[]): readonly BenchCase[] {
  if (names.length === 0) return cases;
  const matches = (name: string, wanted: string) =>
    wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : name === wanted;
  const unknown = names.find((wanted) => !cases.some((c) => matches(c.name, wanted)));
  if (unknown !== undefined)
    throw new Error(`bench: no case "${unknown}"; there are ${cases.map((c) => c.name).join(", ")}`);
  return cases.filter((c) => names.some((wanted) => matches(c.name, wanted)));
}
