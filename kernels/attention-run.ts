// How attention is cut to fit the adapter's bindings. A sequence is an outer index (frame or clip) and an inner one
// (position, where the items of a sequence are a frame apart). Which shader runs is the caller's plan.

import { f32Bits } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { Tensor } from "../src/tensor/tensor.js";
import { grid } from "./slices.js";

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
  readonly planner: Planner;
}

/** A variant made for one problem: its text, its unit of memory in elements, its workgroups for so many sequences. */
export interface Plan {
  readonly code: string;
  readonly unit: 1 | 4;
  readonly groups: (sequences: number) => number;
}

/** Makes the plan for some sequences. */
export type Planner = (s: Sequences) => Plan;

/** Whether every size and place is a multiple of 4 elements. */
export function inFours(headDim: number, ...operands: readonly Strides[]): boolean {
  return headDim % 4 === 0 && operands.every((x) => [x.start, x.outer, x.inner, x.item].every((n) => n % 4 === 0));
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
  const plan = options.planner(s);
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
