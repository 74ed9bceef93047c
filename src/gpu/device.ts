// The device: records work synchronously, runs it asynchronously. Dispatches, uploads and copies are appended to a list;
// `drain()` compiles what is new, encodes the list in batches of bounded size, and submits them one after the other.
// A device without a GPU behind it (`Device.dry()`) records and counts but runs nothing.

import type { Lifetime } from "./arena.js";
import { Failures } from "./failures.js";
import type { Elsewhere } from "./forerunners.js";
import { hostMemory } from "./landing.js";
import { capabilitiesOf, TYPICAL, type Capabilities } from "./limits.js";
import { Patience } from "./patience.js";
import { PipelineCache } from "./pipelines.js";
import { BufferPool, type MemoryUse, type PoolBuffer } from "./pool.js";
import { Profiler } from "./profiler.js";
import { ScopeStack, type Scoped } from "./scope.js";
import { Submitter } from "./submitter.js";
import { Tuning } from "./tuning.js";
import { buffersOf, type Binding, type Counts, type Dispatch, type Recording, type Upload, type Work } from "./work.js";

export type { Recording } from "./work.js";

/** One WebGPU device and everything the engine keeps on it. */
export class Device implements Disposable {
  readonly capabilities: Capabilities;
  readonly pool: BufferPool;
  /** Which of several kernels does which work here, where that is not as the table says. */
  readonly tuning = new Tuning((body) => this.#capture(body));
  readonly #gpu: GPUDevice | undefined;
  readonly #pipelines: PipelineCache | undefined;
  readonly #submitter: Submitter | undefined;
  readonly #failures: Failures | undefined;
  readonly #scopes = new ScopeStack();
  #queue: Work[] = [];
  /** Uploads of work that was given up, which others rely on. */
  #owed: readonly Upload[] = [];
  #running: Promise<void> = Promise.resolve();
  #disposed = false;
  /** Callers of drain() whose work is not done: it may use buffers that are free again by now. */
  #draining = 0;
  /** During a trial run nothing is recorded. */
  #imagining = false;
  /** Where dispatches go that are to be looked at instead of run. */
  #captured: Dispatch[] | undefined;
  #counts: Counts = { dispatches: 0, flops: 0, bytes: 0, hostBytes: 0, codes: new Set() };
  /** Recordings with what one replay counts for. */
  readonly #recorded = new Map<Recording, Pick<Counts, "dispatches" | "flops" | "bytes">>();
  #profiler: Profiler | undefined;

  private constructor(gpu: GPUDevice | undefined, capabilities: Capabilities, elsewhere?: Elsewhere) {
    this.#gpu = gpu;
    this.capabilities = capabilities;
    this.pool = new BufferPool(gpu, capabilities);
    if (!gpu) return;
    const patience = new Patience(gpu);
    this.#pipelines = new PipelineCache(gpu, patience, elsewhere);
    this.#submitter = new Submitter(gpu, capabilities, this.#pipelines, patience);
    this.#failures = new Failures(gpu);
  }

  /**
   * The engine on a WebGPU device, best requested with `deviceDescriptor(adapter)`. `force` lowers limits (for tests);
   * `elsewhere` is where shaders to come are compiled, for drivers that leave it to the first dispatch; `info` is the
   * adapter's own, which alone tells of matrix units in Dawn.
   */
  static from(
    gpu: GPUDevice,
    force: Partial<Capabilities> = {},
    elsewhere?: Elsewhere,
    info: GPUAdapterInfo = gpu.adapterInfo,
  ): Device {
    return new Device(gpu, capabilitiesOf(gpu, force, info), elsewhere);
  }

  /** A device that executes nothing: the same code run on it gives peak memory, dispatches, FLOPs and pipelines. */
  static dry(capabilities: Partial<Capabilities> = {}): Device {
    return new Device(undefined, { ...TYPICAL, ...capabilities });
  }

  /** True where nothing is executed. */
  get isDry(): boolean {
    return this.#gpu === undefined;
  }

  /** True once the device went away: nothing on it can be used any more, and a new one has to be opened. */
  get isLost(): boolean {
    return this.#failures?.isLost ?? false;
  }

  get memory(): MemoryUse {
    return this.pool.memory;
  }

  /** Host-visible memory held for uploads, in bytes; not part of `memory`. */
  get stagingBytes(): number {
    return this.#submitter?.stagingBytes ?? 0;
  }

  /** Work recorded so far, since the start or `resetCounts()`. */
  get counts(): Readonly<Counts> {
    return this.#counts;
  }

  resetCounts(): void {
    this.#counts = { dispatches: 0, flops: 0, bytes: 0, hostBytes: 0, codes: new Set() };
  }

  /** Pipelines compiled so far (on a dry device: distinct shader texts seen). */
  get pipelineCount(): number {
    return this.#pipelines?.size ?? this.#counts.codes.size;
  }

  /** Pipelines being compiled at the moment. */
  get compiling(): number {
    return this.#pipelines?.pending ?? 0;
  }

  /** Seconds spent waiting for shader compilation. */
  get compileSeconds(): number {
    return this.#pipelines?.seconds ?? 0;
  }

  /** Starts measuring every dispatch; undefined stops. */
  set profiler(profiler: Profiler | undefined) {
    this.#profiler = profiler;
  }

  /** A profiler for this device. @throws Error where the adapter has no timestamp queries. */
  createProfiler(): Profiler {
    if (!this.#gpu) throw new Error("a dry run has nothing to profile");
    return new Profiler(this.#gpu);
  }

  /** Runs `body`; frees every tensor made in it that its result does not hold. */
  scope<R>(body: () => R): R {
    return this.#scopes.run(body);
  }

  /** Runs `body` and returns, with its result, what frees every tensor made in it that is still there. */
  hold<R>(body: () => R): { readonly result: R; dispose(): void } {
    return this.#scopes.hold(body);
  }

  /** @internal For resources that scopes own. */
  track(resource: Scoped): void {
    this.#scopes.track(resource);
  }

  /** @internal */
  untrack(resource: Scoped): void {
    this.#scopes.untrack(resource);
  }

  /** Begins to compile shaders that will be dispatched; nobody needs to wait. One that does not compile says so when it is. */
  compileAhead(codes: Iterable<string>): void {
    this.#pipelines?.ahead(codes);
  }

  /** Records one dispatch. */
  dispatch(d: Omit<Dispatch, "kind">): void {
    if (this.#captured) {
      this.#captured.push({ kind: "dispatch", ...d });
      return;
    }
    if (this.#imagining) return;
    const c = this.#counts;
    c.dispatches++;
    c.flops += d.flops;
    c.bytes += d.bytes;
    c.codes.add(d.code);
    this.#record({ kind: "dispatch", ...d });
  }

  /**
   * Records the upload of `data` to `buffer` at byte `offset` (a multiple of 4). `data` must not change until drained.
   * `stays`: others rely on it from now on, whatever is being recorded; it is not dropped with a run that is given up either,
   * while this says so.
   */
  upload(buffer: PoolBuffer, data: Uint8Array, offset = 0, stays?: () => boolean): void {
    this.#record({ kind: "upload", buffer, offset, data, ...(stays && { stays }) });
  }

  /**
   * Records the download of a range; the bytes are there when the work has run, anew with each replay, and may be uploaded
   * again in the same work. Undefined where nothing is executed.
   */
  download(from: Binding): Uint8Array | undefined {
    if (this.#imagining || this.#captured) return undefined;
    this.#counts.hostBytes += from.size;
    if (!this.#gpu) return undefined;
    const data = hostMemory(from.size);
    this.#record({ kind: "download", from, data });
    return data;
  }

  /** Records a copy between two ranges of the same size. */
  copy(from: Binding, to: Binding): void {
    this.#record({ kind: "copy", from, to });
  }

  /**
   * Runs `body` and returns, with its result, what it recorded, to be run again by `replay`. The work is also queued to
   * run this once. `body` is run twice, first to plan memory, and must do the same both times. Its buffers stay set apart
   * until the recording is disposed; inputs it read must stay alive.
   */
  record<R>(body: () => R): { result: R; recording: Recording } {
    // A trial run on imagined memory tells what can share it.
    this.#imagining = true;
    let lives: Lifetime[];
    try {
      lives = this.pool.trace(() => {
        this.scope(() => {
          body();
        });
      });
    } finally {
      this.#imagining = false;
    }
    const start = this.#queue.length;
    const before = { ...this.#counts };
    const { result, arena } = this.pool.inArena(lives, body);
    const { dispatches, flops, bytes } = this.#counts;
    const counts = {
      dispatches: dispatches - before.dispatches,
      flops: flops - before.flops,
      bytes: bytes - before.bytes,
    };
    const dispose = () => {
      this.#recorded.delete(recording);
      this.#submitter?.forget(recording);
      arena.dispose();
    };
    const recording: Recording = {
      work: this.#queue.slice(start) as Recording["work"],
      dispose,
      [Symbol.dispose]: dispose,
    };
    this.#recorded.set(recording, counts);
    this.#queue.length = start;
    this.#record({ kind: "replay", recording });
    return { result, recording };
  }

  /**
   * Runs `body` as if outside of any recording that is being made: what it allocates and queues is neither planned nor
   * replayed. For bringing in weights when a recording first reads them.
   */
  aside<R>(body: () => R): R {
    const imagining = this.#imagining;
    this.#imagining = false;
    try {
      return this.pool.aside(body);
    } finally {
      this.#imagining = imagining;
    }
  }

  /** Queues recorded work again. */
  replay(recording: Recording): void {
    const counts = this.#recorded.get(recording);
    if (!counts) throw new Error("this recording was disposed, or is of another device");
    this.#counts.dispatches += counts.dispatches;
    this.#counts.flops += counts.flops;
    this.#counts.bytes += counts.bytes;
    this.#record({ kind: "replay", recording });
  }

  /**
   * Runs everything recorded so far and resolves when it has been executed. Several callers take turns. With `signal`,
   * stops between batches and drops the rest of this caller's work, but for uploads that stay.
   * @throws the signal's reason, DeviceLostError, OutOfMemoryError or GPUValidationError
   */
  async drain(signal?: AbortSignal): Promise<void> {
    this.#failures?.throwIfLost();
    const work = this.#queue;
    this.#queue = [];
    const [submitter, failures] = [this.#submitter, this.#failures];
    if (!submitter || !failures) return;
    const turn = this.#running.then(async () => {
      const refusals = await this.pool.granted();
      const owed = this.#owed.filter(({ buffer, stays }) => !buffer.refused && stays?.() === true);
      this.#owed = [];
      try {
        // Only the work that wants a buffer for which there was no memory fails: another run's goes on.
        if (refusals) for (const { refused } of buffersOf(work)) if (refused) throw refused;
        failures.check();
        await submitter.run([...owed, ...work], signal, this.#profiler, () => failures.check());
      } catch (error) {
        this.#owed = [...owed, ...work.filter((w) => w.kind === "upload" && w.stays !== undefined)] as Upload[];
        throw error;
      }
    });
    this.#running = turn.catch(() => undefined);
    this.#draining++;
    try {
      await failures.unlessLost(turn);
    } catch (error) {
      throw signal?.aborted === true ? error : await failures.explain(error, () => submitter.refusal());
    } finally {
      this.#draining--;
    }
    failures.check();
  }

  /** Runs what was recorded and reads `bytes` bytes of `buffer` back. */
  async read(buffer: PoolBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const [submitter, failures] = [this.#submitter, this.#failures];
    if (!submitter || !failures) throw new Error("a dry run has no values to read");
    await this.drain();
    try {
      const data = await failures.unlessLost(submitter.read(buffer, offset, bytes));
      failures.check();
      return data;
    } catch (error) {
      throw await failures.explain(error, () => submitter.refusal());
    }
  }

  /** @internal Loses the device, as a driver's reset does: for tests of what happens then. */
  lose(): void {
    this.#gpu?.destroy();
  }

  /** Gives free buffers back to the driver; where somebody's work is still outstanding, leaves them for a later call. */
  trim(): void {
    if (this.#queue.length > 0 || this.#draining > 0) return;
    this.pool.trim();
    this.#submitter?.trim();
  }

  /** Frees everything on the device, and the device itself. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#failures?.dispose();
    this.#queue = [];
    this.#owed = [];
    this.pool.dispose();
    this.#pipelines?.dispose();
    this.#submitter?.dispose();
    this.#gpu?.destroy();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What `body` would dispatch; runs nothing and leaves recordings that are being made as they are. */
  #capture(body: () => void): readonly Dispatch[] {
    const captured: Dispatch[] = [];
    const outer = this.#captured;
    this.#captured = captured;
    try {
      this.aside(() => {
        this.scope(body);
      });
    } finally {
      this.#captured = outer;
    }
    return captured;
  }

  #record(work: Work): void {
    // What others rely on is done even where the rest is only imagined or looked at.
    const stays = work.kind === "upload" && work.stays !== undefined;
    if (this.#captured && !stays) return;
    if (this.#disposed) throw new Error("the device was disposed; nothing can run on it any more");
    if (this.#gpu && (stays || !this.#imagining)) this.#queue.push(work);
  }
}
