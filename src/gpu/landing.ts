// Device bytes on their way to the host within recorded work: a batch's downloads are copied to one mapped buffer of fixed
// size, and from there to where they belong when the batch has run. As many buffers are kept as batches are in flight.

import { OutOfMemoryError } from "./errors.js";

/** Bytes that one batch downloads at most. */
export const DOWNLOADS = 16 * 2 ** 20;
/** Buffers kept between batches. */
const KEPT = 2;

interface Room {
  readonly buffer: GPUBuffer;
  /** What the device says of the memory for it. */
  readonly error: Promise<GPUError | null>;
}

/** Buffers for downloads. */
export class Landing {
  readonly #gpu: GPUDevice;
  #free: Room[] = [];
  #count = 0;
  #disposed = false;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
  }

  /** Host-visible memory held, in bytes. */
  get bytes(): number {
    return this.#count * DOWNLOADS;
  }

  /** The downloads of one batch of commands. */
  batch(): LandingBatch {
    return new LandingBatch(
      () => this.#take(),
      (room) => this.#giveBack(room),
      (room) => this.#destroy(room),
    );
  }

  /** Destroys the buffers that no batch uses. */
  trim(): void {
    for (const room of this.#free.splice(0)) this.#destroy(room);
  }

  dispose(): void {
    this.#disposed = true;
    this.trim();
  }

  /** The first time both are made, so that later batches need none however they fall. */
  #take(): Room {
    while (this.#free.length === 0 || this.#count < KEPT) this.#free.push(this.#create());
    return this.#free.pop()!;
  }

  #create(): Room {
    this.#gpu.pushErrorScope("out-of-memory");
    // GPUBufferUsage.MAP_READ | COPY_DST
    const buffer = this.#gpu.createBuffer({ label: "download", size: DOWNLOADS, usage: 0x01 | 0x08 });
    this.#count++;
    return { buffer, error: this.#gpu.popErrorScope().catch(() => null) }; // a lost device says so elsewhere
  }

  #giveBack(room: Room): void {
    if (this.#disposed || this.#free.length >= KEPT) this.#destroy(room);
    else this.#free.push(room);
  }

  #destroy({ buffer }: Room): void {
    buffer.destroy();
    this.#count--;
  }
}

/** The downloads of one batch of commands: `copy` while encoding, `land` when it has run. */
export class LandingBatch {
  readonly #take: () => Room;
  readonly #giveBack: (room: Room) => void;
  readonly #destroy: (room: Room) => void;
  readonly #targets: { readonly data: Uint8Array; readonly at: number }[] = [];
  #room: Room | undefined;
  #used = 0;

  constructor(take: () => Room, giveBack: (room: Room) => void, destroy: (room: Room) => void) {
    this.#take = take;
    this.#giveBack = giveBack;
    this.#destroy = destroy;
  }

  /** Encodes the way of `source`'s bytes from `offset` on to `data`. */
  copy(encoder: GPUCommandEncoder, source: GPUBuffer, offset: number, data: Uint8Array): void {
    this.#room ??= this.#take();
    const size = Math.ceil(data.byteLength / 4) * 4; // copies want multiples of 4 bytes
    encoder.copyBufferToBuffer(source, offset, this.#room.buffer, this.#used, size);
    this.#targets.push({ data, at: this.#used });
    this.#used += size;
  }

  /** Nothing of it will be submitted. */
  abandon(): void {
    if (this.#room) this.#giveBack(this.#room);
  }

  /** Fills what was asked for. @throws OutOfMemoryError where there was no memory for the buffer */
  async land(): Promise<void> {
    const room = this.#room;
    if (!room) return;
    const { buffer, error } = room;
    try {
      if (await error)
        throw new OutOfMemoryError(
          `out of memory: there are no ${DOWNLOADS / 2 ** 20} MiB for downloads that the machine and its GPU both reach; fewer frames or a smaller size take less, and so do other programs that are closed`,
        );
      await buffer.mapAsync(1, 0, this.#used); // GPUMapMode.READ
      const mapped = new Uint8Array(buffer.getMappedRange(0, this.#used));
      for (const { data, at } of this.#targets) data.set(mapped.subarray(at, at + data.byteLength));
      buffer.unmap();
    } catch (failure) {
      this.#destroy(room);
      throw failure;
    }
    this.#giveBack(room);
  }
}

/** Memory that downloads fill. @throws OutOfMemoryError where the machine has none */
export function hostMemory(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new OutOfMemoryError(
      `out of memory: the machine has no ${bytes} bytes for what waits on it until the GPU needs it again; fewer frames or a smaller size take less, and so do other programs that are closed`,
    );
  }
}
