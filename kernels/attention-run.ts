// How attention is dispatched: which shader, in which slices. A sequence is an outer index (frame or clip) and an inner
// one (position, where the items of a sequence are a frame apart).

import type { Device } from "../src/gpu/device.js";
import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";
import { grid } from "./slices.js";
import { packing, unitType, unpacking } from "./vectors.js";

/** plain: the reference; cpu: for software adapters with subgroups of 4 or 8; gpu: tiles in workgroup memory. */
export type AttentionVariant = "plain" | "cpu" | "gpu";

/** How the sequences of one operand lie in memory, in elements. */
export interface Strides {
  readonly tensor: Tensor;
  readonly start: number;
  readonly outer: number;
  readonly inner: number;
  readonly item: number;
}

/** Sequences that attend, `outer · inner` of them. */
export interface Sequences {
  readonly outer: number;
  readonly inner: number;
  readonly rows: number;
  readonly keys: number;
  /** Outer sequences that read the same keys. */
  readonly share: number;
}

export interface AttentionRun {
  readonly heads: number;
  readonly headDim: number;
  readonly scale?: number;
  readonly causal?: boolean;
  readonly label?: string;
  readonly variant?: AttentionVariant;
}

/** A variant made for one problem: its text, its unit of memory in elements, its workgroups for so many sequences. */
interface Plan {
  readonly code: string;
  readonly unit: 1 | 4;
  readonly groups: (sequences: number) => number;
}

/** Dispatches in slices of outer sequences, as many as fit the adapter's bindings. */
export function runAttention(
  s: Sequences,
  q: Strides,
  k: Strides,
  v: Strides,
  y: Strides,
  options: AttentionRun,
): void {
  const { device, dtype } = q.tensor;
  const { heads, headDim, scale = headDim ** -0.5, causal = false, label = "attention" } = options;
  const { alignment, maxBinding } = device.capabilities;
  const fours =
    headDim % 4 === 0 && [q, k, v, y].every((x) => [x.start, x.outer, x.inner, x.item].every((n) => n % 4 === 0));
  const variant = options.variant ?? choose(device, fours);
  const plan = PLANS[variant](device, s, options, dtype as "f32" | "f16");
  if (plan.unit === 4 && !fours)
    throw new Error(
      `${label}: variant ${variant} wants columns and head sizes that are multiples of 4, got ${String(q.tensor)}`,
    );
  const bytes = bytesPerElement(dtype);

  const span = (x: Strides, from: number, count: number) => {
    const start = from * x.outer * bytes;
    const aligned = start - (start % alignment);
    const words = [(start - aligned) / bytes + x.start, x.outer, x.inner, x.item].map((n) => n / plan.unit);
    return { start: aligned, bytes: (from + count) * x.outer * bytes - aligned, words };
  };
  const spans = (from: number, count: number) => {
    const fromK = Math.floor(from / s.share);
    const countK = Math.floor((from + count - 1) / s.share) - fromK + 1;
    return [span(q, from, count), span(k, fromK, countK), span(v, fromK, countK), span(y, from, count)];
  };
  for (let from = 0; from < s.outer;) {
    let count = s.outer - from;
    const exceeds = () => spans(from, count).some((r) => r.bytes > maxBinding);
    while (count > 1 && exceeds()) count = Math.ceil(count / 2);
    if (exceeds()) {
      gathered(s, from++, q, k, v, y, options);
      continue;
    }
    const all = spans(from, count);
    const sequences = count * s.inner;
    device.dispatch({
      label,
      code: plan.code,
      bindings: [q, k, v, y].map((x, i) => x.tensor.binding(all[i]!.start, all[i]!.bytes)),
      params: [
        s.rows,
        s.keys,
        heads,
        sequences,
        s.inner,
        s.share,
        from % s.share,
        causal ? 1 : 0,
        f32Bits(plan.unit === 1 ? scale : scale * Math.LOG2E), // the fast variants take powers of 2
        headDim / plan.unit,
        0, // the four places begin at multiples of 16 bytes
        0,
        ...all.flatMap((r) => r.words),
      ],
      workgroups: grid(plan.groups(sequences), device.capabilities),
      flops: 4 * sequences * s.rows * s.keys * heads * headDim,
      bytes: sequences * heads * headDim * (2 * s.rows + 2 * s.keys) * bytes,
    });
    from += count;
  }
}

/**
 * One outer sequence whose operands exceed a binding: runs of inner ones (positions), copied from each item (frame) into
 * tensors of their own and back.
 */
function gathered(
  s: Sequences,
  outer: number,
  q: Strides,
  k: Strides,
  v: Strides,
  y: Strides,
  options: AttentionRun,
): void {
  const { device, dtype } = q.tensor;
  const { maxBinding } = device.capabilities;
  const bytes = bytesPerElement(dtype);
  const most = Math.floor(maxBinding / (s.rows * Math.max(...[q, k, v, y].map((x) => x.inner)) * bytes));
  // Copies want multiples of 4 bytes.
  if (s.inner === 1 || most < 1 || [q, k, v, y].some((x) => (x.inner * bytes) % 4 !== 0))
    throw new Error(
      `${options.label ?? "attention"}: one sequence of ${String(q.tensor)} exceeds this adapter's largest binding of ${maxBinding} bytes; use a smaller size`,
    );
  for (let first = 0; first < s.inner; first += most) {
    const count = Math.min(most, s.inner - first);
    const pieces = new Map<Tensor, Tensor>();
    const piece = (x: Strides): Strides => {
      const tensor = pieces.get(x.tensor) ?? Tensor.empty(device, [s.rows, count, x.inner], dtype, options.label);
      if (!pieces.has(x.tensor) && x !== y) transfer(x, tensor, "in");
      pieces.set(x.tensor, tensor);
      return { tensor, start: x.start, outer: tensor.size, inner: x.inner, item: count * x.inner };
    };
    const transfer = (x: Strides, tensor: Tensor, way: "in" | "out") => {
      const size = count * x.inner * bytes;
      for (let item = 0; item < s.rows; item++) {
        const whole = { ...x.tensor.binding((outer * x.outer + item * x.item + first * x.inner) * bytes, size), size };
        const part = { ...tensor.binding(item * size, size), size };
        if (way === "in") device.copy(whole, part);
        else device.copy(part, whole);
      }
    };
    const result = piece(y);
    runAttention({ ...s, outer: 1, inner: count }, piece(q), piece(k), piece(v), result, options);
    transfer(y, result.tensor, "out");
    for (const t of pieces.values()) t.dispose();
  }
}

/** The fastest variant that this adapter and these operands allow. */
function choose({ capabilities: { kind, subgroups, subgroupSize } }: Device, fours: boolean): AttentionVariant {
  if (!fours) return "plain";
  if (kind === "gpu") return "gpu";
  // Without subgroups tiles gain a software adapter little, and take it seconds to compile.
  return subgroups && (subgroupSize === 4 || subgroupSize === 8) ? "cpu" : "plain";
}

type Planner = (device: Device, s: Sequences, options: AttentionRun, dtype: "f32" | "f16") => Plan;

const PLANS: Readonly<Record<AttentionVariant, Planner>> = {
  plain: (_, s, { heads, headDim }, dtype) => ({
    code: specialize(shaders.attention, { T: dtype, HEAD_DIM: headDim }),
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

  gpu: ({ capabilities }, s, { heads, headDim }, dtype) => {
    const { tx, ty, tz, keys, chunk, staged } = gpuTile(s, headDim, capabilities);
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
};

/** How the shaders read and write units of four values. */
function memory(dtype: "f32" | "f16", capabilities: Device["capabilities"]) {
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

/** A tile that fits the sequences, and the workgroup memory and threads that every device has at least. */
function gpuTile(s: Sequences, headDim: number, { workgroupMemory, maxInvocations }: Device["capabilities"]): GpuTile {
  const vectors = headDim / 4;
  const divisor = (most: number) => {
    for (let n = most; n > 1; n--) if (vectors % n === 0) return n;
    return 1;
  };
  const chunk = divisor(8);
  const even = divisor(16);
  const tx = even < 5 ? 8 : even; // a thread per vector of the result, or a whole number of vectors per thread
  const keys = s.keys <= 2 * tx ? 2 : 4;
  const threads = Math.min(256, maxInvocations);
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
