// Turns lists of work into command buffers, in bounded batches (batches.ts), so that no driver watchdog fires and a
// cancelled run stops soon; at most two are in flight.

import { Abort } from "./abort.js";
import { BatchTimer, type BatchTime } from "./batch-timer.js";
import {
  batchFrom,
  isDispatch,
  meet,
  pieces,
  SLOTS,
  type Batch,
  type Item,
  type Ready,
  type Transfer,
} from "./batches.js";
import type { OutOfMemoryError } from "./errors.js";
import type { Capabilities } from "./limits.js";
import { Landing, type LandingBatch } from "./landing.js";
import { Pace } from "./pace.js";
import type { Patience } from "./patience.js";
import type { Pipeline, PipelineCache } from "./pipelines.js";
import type { PoolBuffer } from "./pool.js";
import type { ProfileBatch, Profiler } from "./profiler.js";
import { ReadBack } from "./read-back.js";
import { Staging, type StagingBatch } from "./staging.js";
import type { Dispatch, Recording, Work } from "./work.js";

/** Bind groups kept; beyond this all are dropped, which costs microseconds each to make again. */
const MAX_BIND_GROUPS = 8192;

/** A recording made ready: replaying it costs three calls a dispatch. */
interface Prepared {
  readonly items: readonly (Ready | Transfer)[];
  readonly uniforms: GPUBuffer;
}

/** Encodes and submits. One per device; its caller sees to it that runs do not overlap. */
export class Submitter {
  readonly #gpu: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #patience: Patience;
  readonly #pace: Pace;
  readonly #timer: BatchTimer | undefined;
  readonly #staging: Staging;
  readonly #landing: Landing;
  readonly #readBack: ReadBack;
  readonly #uniforms: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #slotBytes: number;
  readonly #bindGroups = new Map<string, GPUBindGroup>();
  readonly #prepared = new Map<Recording, Prepared>();
  /** When the device was last done with a batch, by the host's clock. */
  #idle = 0;

  constructor(gpu: GPUDevice, capabilities: Capabilities, pipelines: PipelineCache, patience: Patience) {
    this.#gpu = gpu;
    this.#pipelines = pipelines;
    this.#patience = patience;
    this.#pace = new Pace(capabilities);
    this.#timer = BatchTimer.for(gpu);
    this.#staging = new Staging(gpu);
    this.#landing = new Landing(gpu);
    this.#readBack = new ReadBack(gpu);
    this.#slotBytes = Math.max(256, capabilities.alignment);
    this.#words = new Uint32Array((SLOTS * this.#slotBytes) / 4);
    this.#uniforms = this.#uniformBuffer(SLOTS);
  }

  /** Host-visible memory held for uploads and downloads, in bytes. */
  get stagingBytes(): number {
    return this.#staging.bytes + this.#landing.bytes;
  }

  /**
   * Compiles, encodes, submits and awaits `work`. `check` throws if the device has reported an error. Aborted by `signal`,
   * it rejects at once; at most two batches still run on, and whatever is recorded next runs after them.
   */
  async run(
    work: readonly Work[],
    signal: AbortSignal | undefined,
    profiler: Profiler | undefined,
    check: () => void,
  ): Promise<void> {
    signal?.throwIfAborted();
    using abort = new Abort(signal);
    await abort.or(this.#compile(work));
    const items = this.#itemsOf(work);
    let previous = Promise.resolve();
    let coming: ReadonlySet<ArrayBufferLike> = new Set(); // what the batch in flight brings to the host
    for (let i = 0; i < items.length;) {
      signal?.throwIfAborted();
      const batch = batchFrom(items, i, this.#pace);
      if (meet(batch.reads, coming)) await abort.or(previous);
      coming = batch.fills;
      const done = this.#submit(items, batch, profiler);
      done.catch(() => undefined); // awaited below, unless the run is aborted
      await abort.or(previous);
      check();
      previous = done;
      i = batch.end;
    }
    await abort.or(previous);
    signal?.throwIfAborted();
  }

  /** Why uploads failed since the last call, where there was no memory for them. */
  async refusal(): Promise<OutOfMemoryError | undefined> {
    const refusal = await this.#staging.refusal();
    this.#staging.reset();
    return refusal;
  }

  /** Copies a range out of a buffer. */
  read(buffer: PoolBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    return this.#patience.wait(this.#readBack.read(gpuOf(buffer), offset, bytes));
  }

  /** A recording that will not run again. Call it when none of its replays is outstanding. */
  forget(recording: Recording): void {
    this.#prepared.get(recording)?.uniforms.destroy();
    this.#prepared.delete(recording);
  }

  /** Gives memory for uploads and downloads back that no batch uses. */
  trim(): void {
    this.#staging.trim();
    this.#landing.trim();
  }

  dispose(): void {
    for (const recording of this.#prepared.keys()) this.forget(recording);
    this.#staging.dispose();
    this.#landing.dispose();
    this.#readBack.dispose();
    this.#timer?.dispose();
    this.#uniforms.destroy();
    this.#bindGroups.clear();
  }

  #uniformBuffer(slots: number): GPUBuffer {
    // GPUBufferUsage.UNIFORM | COPY_DST
    return this.#gpu.createBuffer({
      label: "parameters",
      size: Math.max(1, slots) * this.#slotBytes,
      usage: 0x40 | 0x08,
    });
  }

  #prepare(recording: Recording): Prepared {
    let prepared = this.#prepared.get(recording);
    if (!prepared) {
      const dispatches = recording.work.filter((w) => w.kind === "dispatch");
      const uniforms = this.#uniformBuffer(dispatches.length);
      const words = new Uint32Array((dispatches.length * this.#slotBytes) / 4);
      dispatches.forEach((d, i) => words.set(d.params, (i * this.#slotBytes) / 4));
      this.#gpu.queue.writeBuffer(uniforms, 0, words);
      let slot = 0;
      const items = recording.work.flatMap((w): readonly (Ready | Transfer)[] => {
        if (w.kind !== "dispatch") return pieces(w);
        const pipeline = this.#pipelines.get(w.code)!;
        const group = this.#newBindGroup(pipeline, w, uniforms, slot++);
        return [{ kind: "ready", dispatch: w, pipeline, group, cost: this.#pace.cost(w) }];
      });
      prepared = { items, uniforms };
      this.#prepared.set(recording, prepared);
    }
    return prepared;
  }

  /** Compiles what `work` needs and nobody has needed before. */
  #compile(work: readonly Work[]): Promise<void> {
    const labels = new Map<string, string>();
    for (const w of work) {
      if (w.kind === "dispatch") labels.set(w.code, w.label);
      else if (w.kind === "replay" && !this.#prepared.has(w.recording))
        for (const d of w.recording.work) if (d.kind === "dispatch") labels.set(d.code, d.label);
    }
    return this.#pipelines.compile(labels.keys(), (code) => labels.get(code) ?? "");
  }

  #itemsOf(work: readonly Work[]): readonly Item[] {
    const items: Item[] = [];
    for (const w of work) {
      if (w.kind === "replay") for (const item of this.#prepare(w.recording).items) items.push(item);
      else if (w.kind === "dispatch") items.push(w);
      else items.push(...pieces(w));
    }
    return items;
  }

  /** Submits a batch; resolves when the device has done it. */
  async #submit(items: readonly Item[], batch: Batch, profiler: Profiler | undefined): Promise<void> {
    const { dispatches, cost } = batch;
    const encoder = this.#gpu.createCommandEncoder();
    const uploads = this.#staging.batch();
    const downloads = this.#landing.batch();
    const profile = dispatches > 0 ? profiler?.begin(dispatches) : undefined;
    const time = dispatches > 0 && !profile ? this.#timer?.begin() : undefined;
    try {
      this.#encode(encoder, items, batch, { uploads, downloads }, profile, time);
    } catch (error) {
      uploads.abandon();
      downloads.abandon();
      time?.abandon();
      throw error;
    }
    profile?.resolve(encoder);
    time?.resolve(encoder);
    uploads.seal();
    this.#gpu.queue.submit([encoder.finish()]);
    const submitted = performance.now();
    await this.#patience.wait(this.#gpu.queue.onSubmittedWorkDone());
    const ended = performance.now();
    const elapsed = ended - Math.max(submitted, this.#idle);
    this.#idle = ended;
    const refused = await this.#staging.refusal();
    uploads.done();
    if (refused) throw refused;
    await downloads.land();
    await profile?.collect();
    this.#pace.observe(cost, (await time?.read()) ?? elapsed);
  }

  #encode(
    encoder: GPUCommandEncoder,
    items: readonly Item[],
    { start, end }: Batch,
    { uploads, downloads }: { readonly uploads: StagingBatch; readonly downloads: LandingBatch },
    profile: ProfileBatch | undefined,
    time: BatchTime | undefined,
  ): void {
    // The last pass begins after the last upload or copy that a dispatch follows.
    let lastPass = end - 1;
    while (lastPass > start && !isDispatch(items[lastPass]!)) lastPass--;
    while (lastPass > start && isDispatch(items[lastPass - 1]!)) lastPass--;
    const stride = this.#slotBytes / 4;
    let slot = 0;
    let pass: GPUComputePassEncoder | undefined;
    let bound: Pipeline | undefined;
    for (let i = start; i < end; i++) {
      const w = items[i]!;
      if (w.kind !== "dispatch" && w.kind !== "ready") {
        pass?.end();
        pass = undefined;
        if (w.kind === "upload") uploads.write(encoder, gpuOf(w.buffer), w.offset, w.data);
        else if (w.kind === "download") downloads.copy(encoder, gpuOf(w.from.buffer), w.from.offset, w.data);
        else
          encoder.copyBufferToBuffer(gpuOf(w.from.buffer), w.from.offset, gpuOf(w.to.buffer), w.to.offset, w.from.size);
        continue;
      }
      const dispatch = w.kind === "ready" ? w.dispatch : w;
      const pipeline = w.kind === "ready" ? w.pipeline : this.#pipelines.get(w.code)!;
      if (!pass) {
        pass = encoder.beginComputePass(profile?.pass(dispatch) ?? time?.pass(i >= lastPass));
        bound = undefined;
      }
      if (pipeline !== bound) pass.setPipeline(pipeline.gpu);
      bound = pipeline;
      if (w.kind === "ready") pass.setBindGroup(0, w.group);
      else {
        this.#words.set(w.params, slot * stride);
        pass.setBindGroup(0, this.#bindGroup(pipeline, w, slot++));
      }
      const [x, y, z] = dispatch.workgroups;
      pass.dispatchWorkgroups(x, y, z);
      if (profile) {
        pass.end();
        pass = undefined;
      }
    }
    pass?.end();
    if (slot > 0) this.#gpu.queue.writeBuffer(this.#uniforms, 0, this.#words, 0, slot * stride);
  }

  #bindGroup(pipeline: Pipeline, d: Dispatch, slot: number): GPUBindGroup {
    let key = `${pipeline.id}@${slot}`;
    for (const b of d.bindings) key += `|${b.buffer.id}:${b.offset}:${b.size}`;
    let group = this.#bindGroups.get(key);
    if (!group) {
      if (this.#bindGroups.size >= MAX_BIND_GROUPS) this.#bindGroups.clear();
      group = this.#newBindGroup(pipeline, d, this.#uniforms, slot);
      this.#bindGroups.set(key, group);
    }
    return group;
  }

  /** A dispatch's buffers, and its parameters in a slot of `uniforms`: without dynamic offsets, which cost a third more. */
  #newBindGroup(pipeline: Pipeline, d: Dispatch, uniforms: GPUBuffer, slot: number): GPUBindGroup {
    return this.#gpu.createBindGroup({
      label: d.label,
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: slot * this.#slotBytes, size: this.#slotBytes } },
        ...d.bindings.map(({ buffer, offset, size }, i) => ({
          binding: i + 1,
          resource: { buffer: gpuOf(buffer), offset, size },
        })),
      ],
    });
  }
}

function gpuOf(buffer: PoolBuffer): GPUBuffer {
  if (!buffer.gpu) throw new Error(`buffer "${buffer.label}" belongs to a dry run`);
  return buffer.gpu;
}
