// How work is cut into batches that are submitted together: bounded in dispatches, transferred bytes and expected time
// (pace.ts); what a batch uploads has come to the host before.

import { DOWNLOADS } from "./landing.js";
import type { Pace } from "./pace.js";
import type { Pipeline } from "./pipelines.js";
import type { Copy, Dispatch, Download, Upload } from "./work.js";

/** Uniform slots of one batch; each holds the parameters of one dispatch that is not of a recording. */
export const SLOTS = 512;
/** Bytes that one batch uploads at most. */
const UPLOADS = 32 * 2 ** 20;

/** A dispatch with everything that encoding it takes. */
export interface Ready {
  readonly kind: "ready";
  readonly dispatch: Dispatch;
  readonly pipeline: Pipeline;
  /** Its buffers and its own parameters. */
  readonly group: GPUBindGroup;
  /** In the pace's units. */
  readonly cost: number;
}

/** What moves bytes. */
export type Transfer = Upload | Download | Copy;

/** What a batch is made of. */
export type Item = Dispatch | Ready | Transfer;

/** A run of items that are submitted together, up to `end`. */
export interface Batch {
  readonly start: number;
  readonly end: number;
  readonly dispatches: number;
  /** What the dispatches cost, in the pace's units. */
  readonly cost: number;
  /** Host memory that its downloads fill, and that its uploads read. */
  readonly fills: ReadonlySet<ArrayBufferLike>;
  readonly reads: ReadonlySet<ArrayBufferLike>;
}

/** The batch that begins with item `start`. */
export function batchFrom(items: readonly Item[], start: number, pace: Pace): Batch {
  const { budget } = pace;
  let cost = 0;
  let dispatches = 0;
  let slots = 0;
  let uploads = 0;
  let downloads = 0;
  const fills = new Set<ArrayBufferLike>();
  const reads = new Set<ArrayBufferLike>();
  let end = start;
  for (; end < items.length; end++) {
    const w = items[end]!;
    if (w.kind === "copy") continue;
    if (w.kind === "upload") {
      if (uploads > 0 && uploads + w.data.byteLength > UPLOADS) break;
      if (fills.has(w.data.buffer)) break;
      reads.add(w.data.buffer);
      uploads += w.data.byteLength;
      continue;
    }
    if (w.kind === "download") {
      if (downloads + w.data.byteLength > DOWNLOADS) break;
      fills.add(w.data.buffer);
      downloads += w.data.byteLength;
      continue;
    }
    const own = w.kind === "ready" ? w.cost : pace.cost(w);
    if (slots === SLOTS || (dispatches > 0 && cost + own > budget)) break;
    cost += own;
    dispatches++;
    if (w.kind === "dispatch") slots++;
  }
  return { start, end, dispatches, cost, fills, reads };
}

/** An upload or a download in parts that fit a batch. */
export function pieces<W extends Transfer>(w: W): readonly W[] {
  if (w.kind === "copy") return [w];
  const most = w.kind === "upload" ? UPLOADS : DOWNLOADS;
  const { data } = w;
  if (data.byteLength <= most) return [w];
  return Array.from({ length: Math.ceil(data.byteLength / most) }, (_, i) => {
    const from = i * most;
    const place =
      w.kind === "upload" ? { offset: w.offset + from } : { from: { ...w.from, offset: w.from.offset + from } };
    return { ...w, ...place, data: data.subarray(from, from + most) };
  });
}

/** Whether two sets have anything in common. */
export function meet(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): boolean {
  for (const v of a) if (b.has(v)) return true;
  return false;
}

export function isDispatch(item: Item): boolean {
  return item.kind === "ready" || item.kind === "dispatch";
}
