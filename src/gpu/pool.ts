// Storage buffers, kept for reuse. A released buffer may be handed out again at once: all work runs in the order in
// which it was recorded, so the new owner writes only after the last reader has run.

import { assignBuffers, type Assignment, type Lifetime } from "./arena.js";
import { OutOfMemoryError } from "./errors.js";
import type { Capabilities } from "./limits.js";

/** A storage buffer of the pool. `gpu` is absent on a device that only counts (a dry run). */
export interface PoolBuffer {
  readonly id: number;
  /** Size of the allocation, at least what was asked for. */
  readonly bytes: number;
  readonly gpu: GPUBuffer | undefined;
  label: string;
  /** The adapter had no memory for it: what work that uses it fails with. */
  refused?: OutOfMemoryError;
}

/** Bytes on the device: `used` by live buffers, `reserved` in all (free buffers included), and their maxima. */
export interface MemoryUse {
  readonly used: number;
  readonly reserved: number;
  readonly peakUsed: number;
  readonly peakReserved: number;
}

// GPUBufferUsage.STORAGE | COPY_SRC | COPY_DST; spelt out because the global exists only where WebGPU does.
const USAGE = 0x80 | 0x04 | 0x08;
/** A free buffer is taken for a request if at most this share of it would be wasted. */
const WASTE = 1 / 16;

/** Buffers waiting for reuse, by size. */
class FreeList {
  readonly #bySize = new Map<number, PoolBuffer[]>();

  put(buffer: PoolBuffer): void {
    const list = this.#bySize.get(buffer.bytes);
    if (list) list.push(buffer);
    else this.#bySize.set(buffer.bytes, [buffer]);
  }

  /** The smallest that holds `size` bytes and wastes little. */
  take(size: number): PoolBuffer | undefined {
    let best: PoolBuffer[] | undefined;
    let bestSize = Infinity;
    for (const [bytes, list] of this.#bySize) {
      if (list.length > 0 && bytes >= size && bytes < bestSize && bytes - size <= bytes * WASTE) {
        best = list;
        bestSize = bytes;
      }
    }
    return best?.pop();
  }

  /** Empties the list. */
  drain(): PoolBuffer[] {
    const all = [...this.#bySize.values()].flat();
    this.#bySize.clear();
    return all;
  }
}

/** Buffers set apart for recorded work that will run again: nobody else may get them in between. */
export interface Arena {
  /** Gives the buffers back to the pool. Those still held by tensors follow when these are disposed. */
  dispose(): void;
}

/** A trial run's allocations, which get no memory. */
interface Trace {
  events: number;
  readonly lives: Lifetime[];
  readonly open: Map<PoolBuffer, Lifetime>;
}

/** Memory assigned to the allocations of a run, in their order. */
interface Planned {
  readonly buffers: readonly PoolBuffer[];
  readonly assignment: Assignment;
  next: number;
}

/** Allocates, reuses and counts storage buffers. */
export class BufferPool {
  readonly #gpu: GPUDevice | undefined;
  readonly #limits: Capabilities;
  readonly #free = new FreeList();
  /** Buffers that belong to arenas. */
  readonly #reservedFor = new Map<PoolBuffer, Arena>();
  #trace: Trace | undefined;
  #planned: Planned | undefined;
  /** Allocations of which the adapter has not said yet whether it had the memory. */
  readonly #asked = new Set<Promise<void>>();
  /** Buffers that came to nothing and are not destroyed yet. */
  readonly #refused = new Set<PoolBuffer>();
  readonly #live = new Set<PoolBuffer>();
  #next = 1;
  #used = 0;
  #reserved = 0;
  #peakUsed = 0;
  #peakReserved = 0;

  constructor(gpu: GPUDevice | undefined, limits: Capabilities) {
    this.#gpu = gpu;
    this.#limits = limits;
  }

  get memory(): MemoryUse {
    return { used: this.#used, reserved: this.#reserved, peakUsed: this.#peakUsed, peakReserved: this.#peakReserved };
  }

  /** Begins a new measurement: the peaks are set to the present values. */
  resetPeaks(): void {
    this.#peakUsed = this.#used;
    this.#peakReserved = this.#reserved;
  }

  /** Takes a buffer of at least `bytes` bytes. @throws OutOfMemoryError beyond the adapter's largest buffer. */
  acquire(bytes: number, label: string): PoolBuffer {
    const size = sizeClass(bytes);
    if (size > this.#limits.maxBuffer)
      throw new OutOfMemoryError(
        `${label}: needs a buffer of ${bytes} bytes, but this adapter (${this.#limits.name}) allows ${this.#limits.maxBuffer}; use fewer frames, a smaller size, --vae-tiling or --precision f16`,
      );
    if (this.#trace) return this.#imagine(this.#trace, bytes, label);
    const buffer = this.#planned
      ? this.#nextPlanned(this.#planned, bytes)
      : (this.#free.take(size) ?? this.#create(size, label));
    buffer.label = label;
    this.#live.add(buffer);
    this.#used += buffer.bytes;
    this.#peakUsed = Math.max(this.#peakUsed, this.#used);
    return buffer;
  }

  /** Gives a buffer back for reuse. */
  release(buffer: PoolBuffer): void {
    const imagined = this.#trace?.open.get(buffer);
    if (imagined && this.#trace) {
      imagined.end = this.#trace.events++;
      this.#trace.open.delete(buffer);
      return;
    }
    if (!this.#live.delete(buffer)) throw new Error(`buffer "${buffer.label}" was released twice`);
    this.#used -= buffer.bytes;
    if (!this.#reservedFor.has(buffer)) this.#retire(buffer);
  }

  /** Resolves when the adapter has answered all allocations so far; true where buffers are there that it refused. */
  async granted(): Promise<boolean> {
    while (this.#asked.size > 0) await Promise.all(this.#asked);
    return this.#refused.size > 0;
  }

  /** Lifetimes of what `body` allocates; none of it gets memory. Whatever `body` leaves behind counts as living on. */
  trace(body: () => void): Lifetime[] {
    const trace: Trace = { events: 0, lives: [], open: new Map() };
    this.#trace = trace;
    try {
      body();
    } finally {
      this.#trace = undefined;
    }
    return trace.lives;
  }

  /** Runs `body`, whose allocations are those of the trace, in memory planned for them and kept for it. */
  inArena<R>(lives: readonly Lifetime[], body: () => R): { result: R; arena: Arena } {
    if (this.#planned) throw new Error("a recording inside a recording");
    const assignment = assignBuffers(lives);
    const buffers = assignment.sizes.map((bytes) => this.#create(bytes, "arena"));
    const arena: Arena = {
      dispose: () => {
        for (const b of buffers) if (this.#reservedFor.delete(b) && !this.#live.has(b)) this.#retire(b);
      },
    };
    for (const b of buffers) this.#reservedFor.set(b, arena);
    this.#planned = { buffers, assignment, next: 0 };
    try {
      return { result: body(), arena };
    } catch (error) {
      arena.dispose();
      throw error;
    } finally {
      this.#planned = undefined;
    }
  }

  /** Runs `body`, whose allocations belong to no trace and no arena even if one is being made: they will outlive it. */
  aside<R>(body: () => R): R {
    const [trace, planned] = [this.#trace, this.#planned];
    this.#trace = undefined;
    this.#planned = undefined;
    try {
      return body();
    } finally {
      this.#trace = trace;
      this.#planned = planned;
    }
  }

  #imagine(trace: Trace, bytes: number, label: string): PoolBuffer {
    const buffer: PoolBuffer = { id: 0, bytes, gpu: undefined, label };
    const life: Lifetime = { bytes: Math.ceil(bytes / 256) * 256, start: trace.events++, end: Infinity };
    trace.lives.push(life);
    trace.open.set(buffer, life);
    return buffer;
  }

  #nextPlanned(planned: Planned, bytes: number): PoolBuffer {
    const buffer = planned.buffers[planned.assignment.buffer[planned.next++] ?? -1];
    if (!buffer || buffer.bytes < bytes || this.#live.has(buffer))
      throw new Error("recorded work must allocate alike each time it is recorded");
    return buffer;
  }

  /** Destroys the free buffers. Call it only when no recorded work is outstanding. */
  trim(): void {
    for (const b of this.#free.drain()) this.#destroy(b);
  }

  /** Destroys everything, live buffers too. */
  dispose(): void {
    for (const arena of new Set(this.#reservedFor.values())) arena.dispose();
    this.trim();
    for (const b of this.#live) this.#destroy(b);
    this.#live.clear();
    this.#used = 0;
  }

  /** Labels and sizes of the live buffers, for finding leaks. */
  live(): { label: string; bytes: number }[] {
    return [...this.#live].map(({ label, bytes }) => ({ label, bytes }));
  }

  #create(size: number, label: string): PoolBuffer {
    this.#gpu?.pushErrorScope("out-of-memory");
    const gpu = this.#gpu?.createBuffer({ label, size, usage: USAGE });
    const buffer: PoolBuffer = { id: this.#next++, bytes: size, gpu, label };
    this.#reserved += size;
    this.#peakReserved = Math.max(this.#peakReserved, this.#reserved);
    if (this.#gpu) this.#watch(buffer, this.#gpu.popErrorScope());
    return buffer;
  }

  /** Notes whether the adapter had the memory for a buffer. */
  #watch(buffer: PoolBuffer, scope: Promise<GPUError | null>): void {
    const held = this.#reserved - buffer.bytes;
    const answered = scope.then(
      (error) => {
        this.#asked.delete(answered);
        if (!error) return;
        this.#refused.add(buffer);
        buffer.refused = new OutOfMemoryError(
          `out of GPU memory: ${this.#limits.name} has no ${mib(buffer.bytes)} for "${buffer.label}" beside the ${mib(held)} in use here; ` +
            "--low-memory, --weights int8, --vae-tiling, fewer frames or a smaller size take less, and so do other programs on the GPU that are closed",
        );
      },
      () => void this.#asked.delete(answered), // the device was lost; whoever waits for its work is told
    );
    this.#asked.add(answered);
  }

  /** Keeps a buffer for reuse, unless it came to nothing. */
  #retire(buffer: PoolBuffer): void {
    if (buffer.refused) this.#destroy(buffer);
    else this.#free.put(buffer);
  }

  #destroy(buffer: PoolBuffer): void {
    this.#refused.delete(buffer);
    buffer.gpu?.destroy();
    this.#reserved -= buffer.bytes;
  }
}

function mib(bytes: number): string {
  return bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(0)} KiB` : `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}

/** Multiples of 256 bytes, from 64 KiB up multiples of 1/8 of the power of two below, so that near sizes meet. */
function sizeClass(bytes: number): number {
  const step = bytes < 65536 ? 256 : 2 ** (Math.floor(Math.log2(bytes)) - 5);
  return Math.max(256, Math.ceil(bytes / step) * step);
}
