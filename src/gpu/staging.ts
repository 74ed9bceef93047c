// Host bytes on their way to the device, in order with the commands around them (`queue.writeBuffer` would overtake those
// not submitted yet): a few mapped buffers in turn, so that one is filled while the device still copies from another.

/** Size of a mapped buffer. */
const CHUNK = 4 * 2 ** 20;

/** Mapped buffers for uploads, kept between batches. */
export class Staging {
  readonly #gpu: GPUDevice;
  /** Mapped and not in use. */
  #free: GPUBuffer[] = [];
  #count = 0;
  #disposed = false;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Host-visible memory held, in bytes. */
  get bytes(): number {
    return this.#count * CHUNK;
  }

  /** The uploads of one batch of commands. */
  batch(): StagingBatch {
    return new StagingBatch(
      () => this.#take(),
      (chunk) => this.#giveBack(chunk),
    );
  }

  /** Destroys the buffers that no batch uses. */
  trim(): void {
    for (const b of this.#free) b.destroy();
    this.#count -= this.#free.length;
    this.#free = [];
  }

  dispose(): void {
    this.#disposed = true;
    this.trim();
  }

  #take(): GPUBuffer {
    const free = this.#free.pop();
    if (free) return free;
    this.#count++;
    // GPUBufferUsage.MAP_WRITE | COPY_SRC
    return this.#gpu.createBuffer({ label: "upload", size: CHUNK, usage: 0x02 | 0x04, mappedAtCreation: true });
  }

  async #giveBack(chunk: GPUBuffer): Promise<void> {
    try {
      await chunk.mapAsync(2); // GPUMapMode.WRITE
      if (!this.#disposed) {
        this.#free.push(chunk);
        return;
      }
    } catch {
      // The device was lost or disposed; whoever waits for the work is told.
    }
    this.#count--;
    chunk.destroy();
  }
}

/** The uploads of one batch of commands: `write` while encoding, `seal` before submitting, `done` when it has run. */
export class StagingBatch {
  readonly #take: () => GPUBuffer;
  readonly #giveBack: (chunk: GPUBuffer) => Promise<void>;
  readonly #chunks: GPUBuffer[] = [];
  #view = new Uint8Array();
  /** Bytes written to the last chunk. */
  #used = CHUNK;

  constructor(take: () => GPUBuffer, giveBack: (chunk: GPUBuffer) => Promise<void>) {
    this.#take = take;
    this.#giveBack = giveBack;
  }

  /** Encodes the upload of `data` to `target` from byte `offset` on, in pieces where it is larger than a chunk. */
  write(encoder: GPUCommandEncoder, target: GPUBuffer, offset: number, data: Uint8Array): void {
    for (let at = 0; at < data.byteLength;) {
      if (this.#used >= CHUNK) this.#open();
      const size = Math.min(data.byteLength - at, CHUNK - this.#used);
      this.#view.set(at === 0 && size === data.byteLength ? data : data.subarray(at, at + size), this.#used);
      const copied = Math.ceil(size / 4) * 4; // copies want multiples of 4 bytes
      encoder.copyBufferToBuffer(this.#chunks.at(-1)!, this.#used, target, offset + at, copied);
      this.#used += copied;
      at += size;
    }
  }

  seal(): void {
    for (const chunk of this.#chunks) chunk.unmap();
  }

  /** The device has copied everything. */
  done(): void {
    for (const chunk of this.#chunks) void this.#giveBack(chunk);
  }

  #open(): void {
    const chunk = this.#take();
    this.#chunks.push(chunk);
    this.#view = new Uint8Array(chunk.getMappedRange());
    this.#used = 0;
  }
}
