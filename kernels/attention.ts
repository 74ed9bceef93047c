// Scaled dot-product attention that never stores its scores: y = softmax(scale · q kᵀ) v, head by head.
// Sequences are read and written in place by strides, so that a fused q·k·v projection needs no splitting and attention
// over frames needs no transposes.

import { f32Bits, specialize } from "../src/gpu/wgsl.js";
import { bytesPerElement } from "../src/tensor/dtype.js";
import { dims3 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { shaders } from "../shaders/index.js";

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
}

/** How the sequences of one operand lie in memory, in elements. */
interface Strides {
  readonly tensor: Tensor;
  readonly start: number;
  readonly outer: number;
  readonly inner: number;
  readonly item: number;
}

/** Sequences that attend, `outer · inner` of them. */
interface Sequences {
  readonly outer: number;
  readonly inner: number;
  readonly rows: number;
  readonly keys: number;
  /** Outer sequences that read the same keys. */
  readonly share: number;
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
  run(
    { outer: batch, inner: 1, rows, keys, share: batch / batchK },
    place(cq),
    place(ck),
    place(cv),
    place({ tensor: y, start: 0 }),
    options,
  );
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
  run(sequences, place(cq), place(ck), place(cv), place({ tensor: y, start: 0 }), options);
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

/** Dispatches in slices of outer sequences, as many as fit the adapter's bindings. */
function run(s: Sequences, q: Strides, k: Strides, v: Strides, y: Strides, options: AttentionOptions): void {
  const { device, dtype } = q.tensor;
  const { heads, headDim, scale = headDim ** -0.5, causal = false, label = "attention" } = options;
  const { alignment, maxBinding, maxWorkgroups } = device.capabilities;
  const unit = bytesPerElement(dtype);
  const span = (x: Strides, from: number, count: number) => {
    const start = from * x.outer * unit;
    const aligned = Math.floor(start / alignment) * alignment;
    return {
      start: aligned,
      bytes: (from + count) * x.outer * unit - aligned,
      words: [(start - aligned) / unit + x.start, x.outer, x.inner, x.item],
    };
  };
  const ranges = (from: number, count: number) => {
    const fromK = Math.floor(from / s.share);
    const countK = Math.floor((from + count - 1) / s.share) - fromK + 1;
    return [span(q, from, count), span(k, fromK, countK), span(v, fromK, countK), span(y, from, count)] as const;
  };
  for (let from = 0; from < s.outer;) {
    let count = s.outer - from;
    while (count > 1 && ranges(from, count).some((r) => r.bytes > maxBinding)) count = Math.ceil(count / 2);
    const all = ranges(from, count);
    if (all.some((r) => r.bytes > maxBinding))
      throw new Error(
        `${label}: one sequence of ${String(q.tensor)} exceeds the adapter's largest binding of ${maxBinding} bytes`,
      );
    const sequences = count * s.inner;
    const groups = Math.ceil((sequences * s.rows * heads) / 64);
    const x = Math.min(groups, maxWorkgroups);
    device.dispatch({
      label,
      code: specialize(shaders.attention, { T: dtype, HEAD_DIM: headDim }),
      bindings: [q, k, v, y].map((t, i) => t.tensor.binding(all[i]!.start, all[i]!.bytes)),
      params: [
        ...[
          s.rows,
          s.keys,
          heads,
          sequences,
          s.inner,
          s.share,
          from % s.share,
          causal ? 1 : 0,
          f32Bits(scale),
          0,
          0,
          0,
        ],
        ...all.flatMap((r) => r.words),
      ],
      workgroups: [x, Math.ceil(groups / x), 1],
      flops: 4 * sequences * s.rows * s.keys * heads * headDim,
      bytes: sequences * heads * headDim * (2 * s.rows + 2 * s.keys) * unit,
    });
    from += count;
  }
}
