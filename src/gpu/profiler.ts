// Time of each dispatch by timestamp queries: one compute pass per dispatch while profiling, resolved once per batch.

import type { Dispatch } from "./work.js";

/** Sum over all dispatches with one label. */
export interface ProfileEntry {
  readonly label: string;
  /** The WGSL of the latest. */
  code: string;
  calls: number;
  ms: number;
  flops: number;
  bytes: number;
}

/** Dispatches of one query set: WebGPU's limit is 4096 queries. */
const DISPATCHES = 2048;

/** Collects GPU times by label. Wants the feature `timestamp-query`. */
export class Profiler {
  readonly #gpu: GPUDevice;
  readonly #entries = new Map<string, ProfileEntry>();
  #skipped = 0;

  constructor(gpu: GPUDevice) {
    if (!gpu.features.has("timestamp-query"))
      throw new Error("profiling wants the WebGPU feature timestamp-query, which this adapter lacks");
    this.#gpu = gpu;
  }

  /** Entries by falling time. */
  get entries(): ProfileEntry[] {
    return [...this.#entries.values()].toSorted((a, b) => b.ms - a.ms);
  }

  /** Does not count the next `dispatches`: those that only keep the device busy before what is measured. */
  skip(dispatches: number): void {
    this.#skipped += dispatches;
  }

  /** Queries for a batch of at most `count` dispatches. */
  begin(count: number): ProfileBatch {
    const counts = () => this.#skipped === 0 || this.#skipped-- === 0;
    return new ProfileBatch(this.#gpu, count, counts, (d, ms) => {
      const e = this.#entries.get(d.label) ?? { label: d.label, code: d.code, calls: 0, ms: 0, flops: 0, bytes: 0 };
      e.code = d.code;
      e.calls++;
      e.ms += ms;
      e.flops += d.flops;
      e.bytes += d.bytes;
      this.#entries.set(d.label, e);
    });
  }
}

/** The queries of one batch. */
export class ProfileBatch {
  readonly #gpu: GPUDevice;
  readonly #count: number;
  readonly #sets: GPUQuerySet[] = [];
  readonly #dispatches: Dispatch[] = [];
  readonly #counts: () => boolean;
  readonly #add: (d: Dispatch, ms: number) => void;
  /** What the queries are resolved to, and where the host reads them. */
  #buffers: { readonly resolved: GPUBuffer; readonly readable: GPUBuffer } | undefined;

  constructor(gpu: GPUDevice, count: number, counts: () => boolean, add: (d: Dispatch, ms: number) => void) {
    this.#gpu = gpu;
    this.#count = count;
    this.#counts = counts;
    this.#add = add;
  }

  /** The descriptor of the pass in which `d` alone runs. */
  pass(d: Dispatch): GPUComputePassDescriptor {
    if (!this.#counts()) return {};
    const i = this.#dispatches.push(d) - 1;
    const at = 2 * (i % DISPATCHES);
    if (at === 0) {
      const count = 2 * Math.min(DISPATCHES, this.#count - i);
      this.#sets.push(this.#gpu.createQuerySet({ type: "timestamp", count }));
    }
    const querySet = this.#sets.at(-1)!;
    return { timestampWrites: { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 } };
  }

  resolve(encoder: GPUCommandEncoder): void {
    const n = this.#dispatches.length;
    if (n === 0) return;
    // GPUBufferUsage: QUERY_RESOLVE | COPY_SRC, and MAP_READ | COPY_DST
    const resolved = this.#gpu.createBuffer({ size: 16 * n, usage: 0x200 | 0x04 });
    const readable = this.#gpu.createBuffer({ size: 16 * n, usage: 0x01 | 0x08 });
    for (const [i, set] of this.#sets.entries()) {
      const first = i * DISPATCHES;
      encoder.resolveQuerySet(set, 0, 2 * Math.min(DISPATCHES, n - first), resolved, 16 * first);
    }
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16 * n);
    this.#buffers = { resolved, readable };
  }

  /** After the batch was submitted: reads the times. */
  async collect(): Promise<void> {
    if (!this.#buffers) return;
    const { resolved, readable } = this.#buffers;
    await readable.mapAsync(1);
    const t = new BigUint64Array(readable.getMappedRange());
    this.#dispatches.forEach((d, i) => this.#add(d, Number(t[2 * i + 1]! - t[2 * i]!) / 1e6));
    for (const resource of [readable, resolved, ...this.#sets]) resource.destroy();
  }
}
