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

/** Collects GPU times by label. Wants the feature `timestamp-query`. */
export class Profiler {
  readonly #gpu: GPUDevice;
  readonly #entries = new Map<string, ProfileEntry>();

  constructor(gpu: GPUDevice) {
    if (!gpu.features.has("timestamp-query"))
      throw new Error("profiling wants the WebGPU feature timestamp-query, which this adapter lacks");
    this.#gpu = gpu;
  }

  /** Entries by falling time. */
  get entries(): ProfileEntry[] {
    return [...this.#entries.values()].toSorted((a, b) => b.ms - a.ms);
  }

  /** Query set for a batch of `count` dispatches. */
  begin(count: number): ProfileBatch {
    return new ProfileBatch(this.#gpu, count, (d, ms) => {
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
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #readable: GPUBuffer;
  readonly #dispatches: Dispatch[] = [];
  readonly #add: (d: Dispatch, ms: number) => void;

  constructor(gpu: GPUDevice, count: number, add: (d: Dispatch, ms: number) => void) {
    this.#add = add;
    this.#queries = gpu.createQuerySet({ type: "timestamp", count: 2 * count });
    // GPUBufferUsage: QUERY_RESOLVE | COPY_SRC, and MAP_READ | COPY_DST
    this.#resolved = gpu.createBuffer({ size: 16 * count, usage: 0x200 | 0x04 });
    this.#readable = gpu.createBuffer({ size: 16 * count, usage: 0x01 | 0x08 });
  }

  /** The descriptor of the pass in which `d` alone runs. */
  pass(d: Dispatch): GPUComputePassDescriptor {
    const i = 2 * (this.#dispatches.push(d) - 1);
    return {
      timestampWrites: { querySet: this.#queries, beginningOfPassWriteIndex: i, endOfPassWriteIndex: i + 1 },
    };
  }

  resolve(encoder: GPUCommandEncoder): void {
    const n = this.#dispatches.length;
    if (n === 0) return;
    encoder.resolveQuerySet(this.#queries, 0, 2 * n, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readable, 0, 16 * n);
  }

  /** After the batch was submitted: reads the times. */
  async collect(): Promise<void> {
    if (this.#dispatches.length > 0) {
      await this.#readable.mapAsync(1);
      const t = new BigUint64Array(this.#readable.getMappedRange());
      this.#dispatches.forEach((d, i) => this.#add(d, Number(t[2 * i + 1]! - t[2 * i]!) / 1e6));
    }
    this.#readable.destroy();
    this.#resolved.destroy();
    this.#queries.destroy();
  }
}
