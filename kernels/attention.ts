// Scaled dot-product attention that never stores its scores: y = softmax(scale · q kᵀ) v, head by head.
// Sequences are read and written in place by strides, so that a fused q·k·v projection needs no splitting and attention
// over frames needs no transposes.

import { dims3 } from "../src/tensor/shape.js";
import { Tensor } from "../src/tensor/tensor.js";
import { runAttention, type AttentionVariant, type Strides } from "./attention-run.js";

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
  readonly variant?: AttentionVariant;
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
  runAttention(
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
  runAttention(sequences, place(cq), place(ck), place(cv), place({ tensor: y, start: 0 }), options);
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
