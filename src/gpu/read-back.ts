// Device bytes on their way to the host. One small buffer is kept between reads, so that a run's steps, each of which reads
// a few bytes, allocate nothing.

/** Largest buffer that is kept. */
const MOST_KEPT = 4 * 2 ** 20;
const LEAST = 4096;

/** Reads ranges of buffers. */
export class ReadBack {
  readonly #gpu: GPUDevice;
  /** Not in use. */
  #kept: GPUBuffer | undefined;
  #disposed = false;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** A copy of `bytes` bytes of `source` from `offset` (a multiple of 4) on, after everything submitted before. */
  async read(source: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    const buffer = this.#take(size);
    try {
      const encoder = this.#gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(source, offset, buffer, 0, size);
      this.#gpu.queue.submit([encoder.finish()]);
      await buffer.mapAsync(1, 0, size); // GPUMapMode.READ
      const data = buffer.getMappedRange(0, size).slice(0, bytes);
      buffer.unmap();
      this.#giveBack(buffer);
      return data;
    } catch (error) {
      buffer.destroy();
      throw error;
    }
  }

  dispose(): void {
    this.#disposed = true;
    this.#kept?.destroy();
    this.#kept = undefined;
  }

  #take(size: number): GPUBuffer {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept && kept.size >= size) return kept;
    kept?.destroy();
    // GPUBufferUsage.MAP_READ | COPY_DST
    return this.#gpu.createBuffer({ label: "read back", size: Math.max(LEAST, size), usage: 0x01 | 0x08 });
  }

  #giveBack(buffer: GPUBuffer): void {
    if (this.#disposed || buffer.size > MOST_KEPT || buffer.size <= (this.#kept?.size ?? 0)) buffer.destroy();
    else {
      this.#kept?.destroy();
      this.#kept = buffer;
    }
  }
}
