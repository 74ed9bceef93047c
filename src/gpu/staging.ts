// Host bytes on their way to the device, in order with the commands around them (`queue.writeBuffer` would overtake those
// not submitted yet): a few mapped buffers in turn, so that one is filled while the device still copies from another.

import { OutOfMemoryError } from "./errors.js";

/** Size of a mapped buffer. */
const CHUNK = 4 * 2 ** 20;

function noMemory(): OutOfMemoryError {
  return new OutOfMemoryError(
    `out of memory: there are no ${CHUNK / 2 ** 20} MiB for uploads that the machine and its GPU both reach; --low-memory, fewer frames or a smaller size take less, and so do other programs that are closed`,
  );
}

/** Mapped buffers for uploads, kept between batches. */
export class Staging {
  readonly #gpu: GPUDevice;
  /** Mapped and not in use. */
  #free: GPUBuffer[] = [];
  #count = 0;
  /** Chunks of which the device has not said yet whether it had the memory. */
  readonly #asked = new Set<Promise<void>>();
  /** Chunks that came to nothing, and with them a batch. */
  readonly #refused = new Set<GPUBuffer>();
  /** There were such since the last `reset`. */
  #short = false;
  #disposed = false;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Why uploads since the last `reset` failed, where there was no memory for them. */
  async refusal(): Promise<OutOfMemoryError | undefined> {
    await Promise.all(this.#asked);
    return this.#short ? noMemory() : undefined;
  }

  /** What failed was said. */
  reset(): void {
    this.#short = false;
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
      (chunk) => this.#free.push(chunk),
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
    this.#gpu.pushErrorScope("out-of-memory");
    let chunk: GPUBuffer | undefined;
    try {
      // GPUBufferUsage.MAP_WRITE | COPY_SRC
      const usage = 0x02 | 0x04;
      chunk = this.#gpu.createBuffer({ label: "upload", size: CHUNK, usage, mappedAtCreation: true });
    } catch (error) {
      throw error instanceof RangeError ? noMemory() : error;
    } finally {
      this.#watch(chunk, this.#gpu.popErrorScope());
    }
    this.#count++;
    return chunk;
  }

  /** Notes whether there was the memory for a chunk. */
  #watch(chunk: GPUBuffer | undefined, scope: Promise<GPUError | null>): void {
    const answered = scope.then(
      (error) => {
        this.#asked.delete(answered);
        if (!error || !chunk) return;
        this.#refused.add(chunk);
        this.#short = true;
      },
      () => void this.#asked.delete(answered), // the device was lost; whoever waits for the work is told
    );
    this.#asked.add(answered);
  }

  async #giveBack(chunk: GPUBuffer): Promise<void> {
    try {
      const there = !this.#refused.delete(chunk);
      if (there) await chunk.mapAsync(2); // GPUMapMode.WRITE
      if (there && !this.#disposed) {
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
  /** Takes a chunk that is still mapped. */
  readonly #keep: (chunk: GPUBuffer) => void;
  readonly #chunks: GPUBuffer[] = [];
  #view = new Uint8Array();
  /** Bytes written to the last chunk. */
  #used = CHUNK;

  constructor(take: () => GPUBuffer, giveBack: (chunk: GPUBuffer) => Promise<void>, keep: (chunk: GPUBuffer) => void) {
    this.#take = take;
    this.#giveBack = giveBack;
    this.#keep = keep;
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

  /** Nothing of it will be submitted. */
  abandon(): void {
    for (const chunk of this.#chunks) this.#keep(chunk);
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
