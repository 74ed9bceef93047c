// Scaled dot-product attention that never stores its scores: y = softmax(scale · q kᵀ) v, head by head.
// Sequences are read and written in place by strides, so that a fused q·k·v projection needs no splitting and attention
// over frames needs no transposes.

import type { Device } from "../src/gpu/device.js";
import type { Capabilities } from "../src/gpu/limits.js";
import { sizeClass } from "../src/gpu/tuning.js";
import { unroll } from "../src/gpu/unroll.js";
import { specialize } from "../src/gpu/wgsl.js";
import { dims3 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { inFours, runAttention, type Plan, type Planner, type Sequences, type Strides } from "./attention-run.js";
import { packing, unitType, unpacking } from "./vectors.js";

/** plain: the reference; cpu: for software adapters with subgroups of 4 or 8; gpu: tiles in workgroup memory; matrix: tensor cores. */
export type AttentionVariant = "plain" | "cpu" | "gpu" | "matrix";

/** Another tile of a variant: of half the threads, or with another number of keys. */
type OtherTile = "half" | "keys";
export type AttentionWay = AttentionVariant | `${"gpu" | "matrix"}/${OtherTile}`;

/** Columns `start … start + heads · headDim` of a tensor's last dimension, so that a fused q·k·v projection is read in place. */
export interface Columns {
  readonly tensor: Tensor;
  readonly start: number;
}

export interface AttentionOptions {
  readonly heads: number;
  readonly headDim: number;
  /** Factor on the scores; default `headDim ** -0.5`. */
  readonly scale?: number;
  /** Query n sees only the keys 0 … n. */
  readonly causal?: boolean;
  readonly label?: string;
  /** Forces a variant, for tests and comparisons. @internal */
  readonly variant?: AttentionWay;
}

/**
 * Attention of the queries `q [B, N, *]` to `k` and `v [Bk, M, *]` → `[B, N, heads · headDim]`, f32 or f16 storage, f32
 * accumulation (torch's scaled_dot_product_attention). Bk divides B; batch b reads keys of `floor(b / (B / Bk))`: one
 * text serves all frames of its clip.
 * @throws Error where shapes, columns or dtypes do not fit each other
 */
export function attention(
  q: Tensor | Columns,
  k: Tensor | Columns,
  v: Tensor | Columns,
  options: AttentionOptions,
): Tensor {
  const [cq, ck, cv] = operands("attention", q, k, v, options);
  const [batch, rows] = dims3(cq.tensor, "attention: q");
  const [batchK, keys] = dims3(ck.tensor, "attention: k");
  const [batchV, keysV] = dims3(cv.tensor, "attention: v");
  if (batchK !== batchV || keys !== keysV || batch % batchK !== 0)
    throw new Error(
      `attention: q ${String(cq.tensor)}, k ${String(ck.tensor)} and v ${String(cv.tensor)} do not fit: k and v need equal leading sizes, and their batch must divide q's`,
    );
  const y = Tensor.empty(
    cq.tensor.device,
    [batch, rows, options.heads * options.headDim],
    cq.tensor.dtype,
    options.label ?? "attention",
  );
  const place = ({ tensor, start }: Columns): Strides => {
    const [, n, width] = tensor.shape as [number, number, number];
    return { tensor, start, outer: n * width, inner: 0, item: width };
  };
  const sequences = { outer: batch, inner: 1, rows, keys, share: batch / batchK };
  attend(sequences, [place(cq), place(ck), place(cv), place({ tensor: y, start: 0 })], options);
  return y;
}

/**
 * Attention over the frames of each clip, at each position and head: `q, k, v [B · frames, P, *]` →
 * `[B · frames, P, heads · headDim]`. Frames are read in place, P · width elements apart.
 * @throws Error where shapes, columns or dtypes do not fit each other
 */
export function temporalAttention(
  q: Tensor | Columns,
  k: Tensor | Columns,
  v: Tensor | Columns,
  options: AttentionOptions & { readonly frames: number },
): Tensor {
  const { frames } = options;
  const [cq, ck, cv] = operands("temporalAttention", q, k, v, options);
  const [batch, positions] = dims3(cq.tensor, "temporalAttention: q");
  for (const { tensor } of [ck, cv]) {
    const [b, n] = dims3(tensor, "temporalAttention: k, v");
    if (b !== batch || n !== positions)
      throw new Error(
        `temporalAttention: ${String(tensor)} does not fit the queries ${String(cq.tensor)}: leading sizes must be equal`,
      );
  }
  if (!Number.isInteger(frames) || frames < 1 || batch % frames !== 0)
    throw new Error(`temporalAttention: ${String(cq.tensor)} does not divide into clips of ${frames} frames`);
  const y = Tensor.empty(
    cq.tensor.device,
    [batch, positions, options.heads * options.headDim],
    cq.tensor.dtype,
    options.label ?? "temporalAttention",
  );
  const place = ({ tensor, start }: Columns): Strides => {
    const width = tensor.shape[2]!;
    return { tensor, start, outer: frames * positions * width, inner: width, item: positions * width };
  };
  const sequences = { outer: batch / frames, inner: positions, rows: frames, keys: frames, share: 1 };
  attend(sequences, [place(cq), place(ck), place(cv), place({ tensor: y, start: 0 })], options);
  return y;
}

/** The three operands as columns, checked. */
function operands(
  op: string,
  q: Tensor | Columns,
  k: Tensor | Columns,
  v: Tensor | Columns,
  { heads, headDim }: AttentionOptions,
): [Columns, Columns, Columns] {
  if (!Number.isInteger(heads) || !Number.isInteger(headDim) || heads < 1 || headDim < 1)
    throw new Error(`${op}: ${heads} heads of ${headDim} channels: both must be whole numbers from 1 on`);
  const columns = [q, k, v].map((x) => (x instanceof Tensor ? { tensor: x, start: 0 } : x)) as [
    Columns,
    Columns,
    Columns,
  ];
  for (const { tensor, start } of columns) {
    const width = tensor.shape.at(-1) ?? 0;
    if (start < 0 || start + heads * headDim > width)
      throw new Error(
        `${op}: ${heads} heads of ${headDim} channels from column ${start} on exceed the last dimension of ${String(tensor)}`,
      );
    if (tensor.dtype !== columns[0].tensor.dtype || (tensor.dtype !== "f32" && tensor.dtype !== "f16"))
      throw new Error(
        `${op}: q, k and v must share one dtype, f32 or f16; got ${String(columns[0].tensor)} and ${String(tensor)}`,
      );
  }
  return columns;
}

/** The ways to attend that this adapter and these operands allow, the fastest as far as is known first. */
function waysOf(
  capabilities: Capabilities,
  { rows, keys }: Sequences,
  headDim: number,
  dtype: "f32" | "f16",
  fours: boolean,
): readonly [AttentionWay, ...AttentionWay[]] {
  const { kind, subgroups, subgroupSize, subgroupMatrix } = capabilities;
  if (!fours) return ["plain"];
  // Without subgroups tiles gain a software adapter little, and take it seconds to compile.
  if (kind === "cpu") return [subgroups && (subgroupSize === 4 || subgroupSize === 8) ? "cpu" : "plain"];
  const tiles = ["gpu", "gpu/half", "gpu/keys"] as const;
  // Tensor cores take f16, and want a tile's worth of queries and keys and a result that fits a subgroup's registers.
  const tensorCores = dtype === "f16" && subgroups && subgroupSize === 32 && subgroupMatrix;
  if (!tensorCores || rows < 64 || keys < 16 || headDim > 160) return tiles;
  const most: AttentionWay[] =
    keys < 512 ? ["matrix", "matrix/half", "matrix/keys"] : ["matrix/keys", "matrix", "matrix/half"];
  const ways = rows > 64 ? most : most.filter((way) => way !== "matrix");
  const [first, ...others] = ways.filter((way) => matrixTile(headDim, capabilities, split(way)[1]));
  return first ? [first, ...others, ...tiles] : tiles;
}

/** A way's variant, and which other tile of it. */
function split(way: AttentionWay): readonly [AttentionVariant, OtherTile | undefined] {
  return way.split("/") as [AttentionVariant, OtherTile | undefined];
}

/** Runs the fastest way, or the variant asked for. `operands`: q, k, v and y. */
function attend(
  s: Sequences,
  operands: readonly [Strides, Strides, Strides, Strides],
  options: AttentionOptions,
): void {
  const { device, dtype, label } = operands[0].tensor;
  const { heads, headDim, variant } = options;
  if (dtype !== "f32" && dtype !== "f16") throw new Error(`attention: expected f32 or f16, got ${dtype} "${label}"`);
  const fours = inFours(headDim, ...operands);
  if (variant !== undefined && variant !== "plain" && !fours)
    throw new Error(
      `${options.label ?? "attention"}: variant ${variant} wants head sizes, columns and widths that are multiples of 4`,
    );
  const site = () =>
    `attention ${dtype} ${sizeClass(s.outer * s.inner * heads)} of ${sizeClass(s.rows)} rows ${sizeClass(s.keys)} keys ${headDim} channels`;
  device.tuning.run(site, variant ? [variant] : waysOf(device.capabilities, s, headDim, dtype, fours), (way) => {
    const [chosen, tile] = split(way);
    const planner: Planner = (part) => {
      const plan = PLANS[chosen](device, part, options, dtype, tile);
      return { ...plan, code: unroll(plan.code, device.capabilities) };
    };
    runAttention(s, ...operands, { ...options, planner });
  });
}

type Specialist = (
  device: Device,
  s: Sequences,
  options: AttentionOptions,
  dtype: "f32" | "f16",
  tile?: OtherTile,
) => Plan;

const PLANS: Readonly<Record<AttentionVariant, Specialist>> = {
  plain: (_, s, { heads, headDim }, dtype) => ({
    code: specialize(shaders.attention, { V: dtype, HEAD_DIM: headDim }),
    unit: 1,
    groups: (sequences) => Math.ceil((sequences * s.rows * heads) / 64),
  }),

  cpu: ({ capabilities }, s, { heads, headDim }, dtype) => {
    const lanes = capabilities.subgroupSize;
    const [rows, keys] = cpuTile(lanes, s.rows, headDim);
    return {
      code: specialize(shaders["attention-cpu"], {
        ...memory(dtype, capabilities),
        LANES: `${lanes}u`,
        HEAD_DIM: `${headDim}u`,
        ROWS: `${rows}u`,
        KEYS: `${keys}u`,
      }),
      unit: 4,
      groups: (sequences) => Math.ceil(s.rows / (lanes * rows)) * heads * sequences,
    };
  },

  gpu: ({ capabilities }, s, { heads, headDim }, dtype, tile) => {
    const { tx, ty, tz, keys, chunk, staged } = gpuTile(s, headDim, capabilities, tile);
    return {
      code: specialize(shaders["attention-gpu"], {
        ...memory(dtype, capabilities),
        HEAD_DIM: `${headDim}u`,
        TX: `${tx}u`,
        TY: `${ty}u`,
        TZ: `${tz}u`,
        KT: `${keys}u`,
        CHUNK: `${chunk}u`,
        STAGED: `${staged}u`,
      }),
      unit: 4,
      groups: (sequences) => Math.ceil(s.rows / (4 * ty)) * Math.ceil((sequences * heads) / tz),
    };
  },

  matrix: ({ capabilities }, s, { heads, headDim }, _, tile) => {
    const fitting = matrixTile(headDim, capabilities, tile);
    if (!fitting)
      throw new Error(
        `attention: tiles for tensor cores of heads of ${headDim} channels exceed ${capabilities.workgroupMemory} bytes of workgroup memory; use another variant`,
      );
    const { subgroups, keys } = fitting;
    return {
      code: specialize(shaders["attention-matrix"], {
        HEAD_DIM: `${headDim}u`,
        SUBGROUPS: `${subgroups}u`,
        KEYS: `${keys}u`,
      }),
      unit: 4,
      groups: (sequences) => Math.ceil(s.rows / (16 * subgroups)) * heads * sequences,
    };
  },
};

/** How the shaders read and write units of four values. */
function memory(dtype: "f32" | "f16", capabilities: Capabilities) {
  return {
    V: unitType(dtype, 4, capabilities),
    ...unpacking(dtype, 4, capabilities),
    ...packing(dtype, 4, capabilities),
  };
}

/** Queries of a lane, at most 4, and keys of a step in the cpu variant. */
function cpuTile(lanes: number, rows: number, headDim: number): readonly [number, number] {
  // Mesa unrolls a step's loops over channels up to a size that these two bounds stay below. That is fastest, even with
  // few keys a step; where it does not happen, a whole subgroup's keys amortise what the loops cost.
  const most = Math.ceil(rows / lanes);
  // SwiftShader unrolls nothing: there only what a step shares counts.
  if (lanes === 4) return [Math.min(4, most), 4];
  for (const r of most > 2 ? [4, 2] : [most])
    for (let keys = lanes; keys >= 2; keys /= 2) if (headDim * (1 + r) * keys <= 500) return [r, keys];
  return [Math.min(2, most), lanes];
}

/** The gpu variant's tile: threads along keys, queries and problems; keys of a thread; vectors and keys staged at once. */
interface GpuTile {
  readonly tx: number;
  readonly ty: number;
  readonly tz: number;
  readonly keys: number;
  readonly chunk: number;
  readonly staged: number;
}

/**
 * A tile that fits the sequences, and the workgroup memory and threads that every device has at least; "half": of half as
 * many threads, "keys": with two keys of a thread for four and the other way round.
 */
function gpuTile(
  s: Sequences,
  headDim: number,
  { workgroupMemory, maxInvocations }: Capabilities,
  other?: OtherTile,
): GpuTile {
  const vectors = headDim / 4;
  const divisor = (most: number) => {
    for (let n = most; n > 1; n--) if (vectors % n === 0) return n;
    return 1;
  };
  const chunk = divisor(8);
  const even = divisor(16);
  const tx = even < 5 ? 8 : even; // a thread per vector of the result, or a whole number of vectors per thread
  const keys = s.keys <= 2 * tx !== (other === "keys") ? 2 : 4;
  const threads = Math.min(other === "half" ? 128 : 256, maxInvocations);
  const memory = Math.min(16384, workgroupMemory);
  const fits = (ty: number, tz: number, staged: number) => {
    const vectorsHeld = Math.max((4 * ty + tx * keys) * chunk, tx * keys * ty + staged * tx) + tx * ty;
    return tz * vectorsHeld * 16 <= memory && tx * ty * tz <= threads;
  };
  for (const ty of [16, 8, 4, 2].filter((n) => n === 2 || 4 * n < 2 * s.rows)) {
    for (const tz of s.rows > 32 ? [1] : [4, 2, 1]) {
      const staged = [keys * tx, (keys * tx) / 2, tx].find((n) => fits(ty, tz, n));
      if (staged !== undefined) return { tx, ty, tz, keys, chunk, staged };
    }
  }
  return { tx, ty: 1, tz: 1, keys, chunk, staged: tx };
}

/**
 * Subgroups of the matrix variant, with 16 queries each, and keys of a tile, the most of both that fit the workgroup's
 * memory; "half": of half as many subgroups, "keys": with 64 keys. Undefined where nothing fits.
 */
function matrixTile(
  headDim: number,
  { workgroupMemory }: Capabilities,
  other?: OtherTile,
): { readonly subgroups: number; readonly keys: number } | undefined {
  const pitch = Math.ceil(headDim / 16) * 16 + 8;
  for (const subgroups of other ? [4] : [8, 4])
    for (const keys of other === "keys" ? [64] : [32, 16]) {
      // Scores in f32 and weights in f16; k and v; a flag.
      const bytes = subgroups * 16 * (keys + 8) * 6 + keys * pitch * 4 + 16;
      if (bytes <= workgroupMemory) return { subgroups, keys };
    }
  return undefined;
}
