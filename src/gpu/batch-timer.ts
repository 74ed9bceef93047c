// The time that a batch of commands took on the device, by two timestamps around its compute passes. Without the feature
// the batch's wall-clock time has to do, which counts what else the device did.

/** Objects of one measurement; reused. */
interface Queries {
  readonly set: GPUQuerySet;
  readonly resolved: GPUBuffer;
  readonly readable: GPUBuffer;
}

/** Measures batches of one device. */
export class BatchTimer {
  readonly #gpu: GPUDevice;
  readonly #free: Queries[] = [];
  #made = 0;

  private constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Undefined where the adapter has no timestamps. */
  static for(gpu: GPUDevice): BatchTimer | undefined {
    return gpu.features.has("timestamp-query") ? new BatchTimer(gpu) : undefined;
  }

  begin(): BatchTime {
    // Two batches are in flight at most, and then the first to come has allocated for both.
    if (this.#made < 2) this.#free.push(this.#create(), this.#create());
    const queries = this.#free.pop() ?? this.#create();
    return new BatchTime(queries, () => this.#free.push(queries));
  }

  dispose(): void {
    for (const { set, resolved, readable } of this.#free)
      for (const resource of [set, resolved, readable]) resource.destroy();
    this.#free.length = 0;
  }

  #create(): Queries {
    this.#made++;
    return {
      set: this.#gpu.createQuerySet({ label: "batch time", type: "timestamp", count: 2 }),
      // GPUBufferUsage: QUERY_RESOLVE | COPY_SRC, and MAP_READ | COPY_DST
      resolved: this.#gpu.createBuffer({ label: "batch time", size: 16, usage: 0x200 | 0x04 }),
      readable: this.#gpu.createBuffer({ label: "batch time", size: 16, usage: 0x01 | 0x08 }),
    };
  }
}

/** One batch: `pass` for each of its compute passes, `resolve` at its end, `read` when it was submitted. */
export class BatchTime {
  readonly #queries: Queries;
  readonly #release: () => void;
  #begun = false;

  constructor(queries: Queries, release: () => void) {
    this.#queries = queries;
    this.#release = release;
  }

  /** Descriptor of the next pass, or undefined where it is neither the first nor the last one. */
  pass(last: boolean): GPUComputePassDescriptor | undefined {
    const first = !this.#begun;
    this.#begun = true;
    if (!first && !last) return undefined;
    return {
      timestampWrites: {
        querySet: this.#queries.set,
        ...(first && { beginningOfPassWriteIndex: 0 }),
        ...(last && { endOfPassWriteIndex: 1 }),
      },
    };
  }

  resolve(encoder: GPUCommandEncoder): void {
    const { set, resolved, readable } = this.#queries;
    if (!this.#begun) return;
    encoder.resolveQuerySet(set, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16);
  }

  /** Nothing of the batch will be submitted. */
  abandon(): void {
    this.#release();
  }

  /** Milliseconds; undefined where nothing was measured. */
  async read(): Promise<number | undefined> {
    if (!this.#begun) {
      this.#release();
      return undefined;
    }
    const { readable } = this.#queries;
    await readable.mapAsync(1);
    const [begin = 0n, end = 0n] = new BigUint64Array(readable.getMappedRange());
    readable.unmap();
    this.#release();
    return end > begin ? Number(end - begin) / 1e6 : undefined;
  }
}
