// Which ways there are to do a product on an adapter, and which is the fastest as far as is known.

import type { DType } from "../src/tensor/dtype.js";
import type { Capabilities } from "../src/gpu/limits.js";
import type { Tensor } from "../src/tensor/tensor.js";
import { ACTIVATIONS } from "./elementwise.js";

/** Which shader runs: `plain` is the readable reference and fits everything. */
export type GemmVariant = "plain" | "cpu" | "block" | "gpu" | "wide" | "matrix" | "matrix-wide";

/** Output pixels of the largest tile, which must be of one frame where frames have matrices of their own. */
export const ROWS_OF_TILES = { cpu: 16, gpu: 128 } as const;

/** Output pixels, and columns, of the tiles on GPUs; and of how many channels their steps are. */
export const TILES = { gpu: 64, wide: 128, matrix: 64, "matrix-wide": 128 } as const;
const STEPS = { gpu: 1, wide: 16, matrix: 32, "matrix-wide": 32 } as const;
export type TiledVariant = keyof typeof TILES;

/** A variant, with the number of shares into which its sums are split where there is more than one. */
export type GemmWay = GemmVariant | `${TiledVariant}/${number}`;

/** What a kernel is specialised for. */
export interface Operands {
  readonly dtype: DType;
  readonly packed: Tensor;
  readonly c1: number;
  readonly c2: number;
  readonly geglu: boolean;
  readonly activation: number;
  /** Of the weights, one a frame; 1: all frames share one. */
  readonly matrices: number;
}

/**
 * The ways to do a product, the fastest as far as is known first:
 *   plain   two sources of which the first does not end on a multiple of eight channels; software adapters: single
 *           rows with an activation (the timestep's embedding), not worth the seconds that a pipeline takes to compile
 *   cpu     software adapters with subgroups of 8 lanes; block is slower on llvmpipe, and may not be elsewhere
 *   block   other software adapters (without subgroups not for GEGLU)
 *   matrix  GPUs with 16 × 16 × 16 matrix units on f16, subgroups of 32; at least one such block of work
 *   gpu     other GPUs, f32, narrow layers
 *   …-wide  tiles of 128 × 128 for 64 × 64, where there are outputs for more than half of one and enough tiles to occupy a GPU
 *           (wide is gpu's)
 *   …/8     sums split in eight where there are few tiles and they are deep (256 channels a share at least): by the table
 *           below 32 tiles of 64 × 64, which leave any GPU idle, and very deep ones on tensor cores; to be tried below 512
 */
export function waysOf(
  c: Capabilities,
  o: Operands,
  rows: number,
  outputs: number,
  depth: number,
): readonly [GemmWay, ...GemmWay[]] {
  if (o.c2 > 0 && o.c1 % 8 !== 0) return ["plain"];
  if (c.kind === "cpu" && rows < 8 && o.activation !== ACTIVATIONS.none) return ["plain"];
  if (c.kind === "cpu" && o.geglu && !c.subgroups) return ["plain"];
  if (c.kind === "cpu") return c.subgroups && c.subgroupSize === 8 ? ["cpu", "block"] : ["block"];
  const tiles = (side: number) => Math.ceil(rows / side) * Math.ceil(outputs / side);
  const fits = (v: TiledVariant) => unfit(v, o, outputs) === undefined;
  const units = (v: keyof typeof MATRIX_MEMORY) =>
    c.subgroupMatrix && c.subgroupSize === 32 && c.workgroupMemory >= MATRIX_MEMORY[v] && fits(v);
  const matrix = rows >= 16 && depth >= 32 && units("matrix");
  const small: TiledVariant = matrix ? "matrix" : "gpu";
  const wide = [matrix ? ("matrix-wide" as const) : ("wide" as const)].filter(
    (v) => outputs > TILES.gpu && tiles(128) >= FEW_TILES && (v === "wide" ? fits(v) : units(v)),
  );
  const [first, ...others] = (tiles(128) < MANY_TILES ? [small, ...wide] : [...wide, small]) as [TiledVariant];
  const without = matrix ? [fits("wide") ? ("wide" as const) : ("gpu" as const)] : [];
  const splits = [8, 4, 2].filter(
    (n) => rows >= 16 && tiles(64) < 512 && depth >= n * 256 && n * rows * (outputs + 3) * 4 <= c.maxBinding,
  );
  const split = [first, ...others].flatMap((v) => splits.map((n): GemmWay => `${v}/${n}`));
  const all = [first, ...others, ...without, ...split] as const;
  const deep = matrix && depth >= DEEP && tiles(128) < MANY_TILES;
  const lead = tiles(64) < 32 ? split[0] : deep ? split.find((w) => w === "matrix-wide/8") : undefined;
  return lead ? [lead, ...all.filter((w) => w !== lead)] : all;
}

/** Tiles of 128 × 128 from which on they are tried, and from which on they are taken to occupy a GPU. */
const FEW_TILES = 24;
const MANY_TILES = 96;
/** Rows of weights from which on fewer tiles than those are split on tensor cores (an H200: 1.8 times as fast). */
const DEEP = 4096;
/** Of a workgroup, in bytes. */
const MATRIX_MEMORY = { matrix: 17920, "matrix-wide": 35328 } as const;

/** What a variant for GPUs wants that these operands do not have; undefined where it can do the work. */
export function unfit(v: TiledVariant, o: Operands, outputs: number): string | undefined {
  const step = STEPS[v];
  if (v !== "gpu" && (o.c1 % step !== 0 || o.c2 % step !== 0)) return `channels of each source in multiples of ${step}`;
  if (v === "gpu" || v === "wide") return undefined;
  if (o.dtype !== "f16" || o.packed.dtype !== "f16") return "activations and weights of f16";
  const unit = o.geglu ? 8 : 4;
  return outputs % unit === 0 ? undefined : `outputs in multiples of ${unit}`;
}
