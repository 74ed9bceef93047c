// Turns lists of work into command buffers. Batches are bounded in dispatches and in arithmetic, so that no driver
// watchdog fires and a cancelled run stops soon; at most two are in flight.

import type { Capabilities } from "./limits.js";
import type { Pipeline, PipelineCache } from "./pipelines.js";
import type { PoolBuffer } from "./pool.js";
import type { ProfileBatch, Profiler } from "./profiler.js";
import type { Copy, Dispatch, Recording, Upload, Work } from "./work.js";

/** Uniform slots of one batch; each holds one dispatch's parameters. */
const SLOTS = 512;
/** A batch is cut when it is expected to run this long. */
const TARGET_MS = 100;
/** First guess of the speed, in FLOP per millisecond; corrected after every batch. */
const FIRST_GUESS = { cpu: 4e6, gpu: 1e9 };
/** Bind groups kept; beyond this all are dropped, which costs microseconds each to make again. */
const MAX_BIND_GROUPS = 8192;

/** A dispatch with everything that encoding it takes. */
interface Ready {
  readonly kind: "ready";
  readonly dispatch: Dispatch;
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
  /** Byte offset of its parameters in the uniform buffer of `group`. */
  readonly offsets: readonly [number];
}

/** A recording made ready: replaying it costs three calls a dispatch. */
interface Prepared {
  readonly items: readonly (Ready | Upload | Copy)[];
  readonly uniforms: GPUBuffer;
}

type Item = Dispatch | Ready | Upload | Copy;

/** Encodes and submits. One per device; its caller sees to it that runs do not overlap. */
export class Submitter {
  readonly #gpu: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #uniforms: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #slotBytes: number;
  readonly #bindGroups = new Map<string, GPUBindGroup>();
  readonly #prepared = new Map<Recording, Prepared>();
  #flopsPerMs: number;

  constructor(gpu: GPUDevice, capabilities: Capabilities, pipelines: PipelineCache) {
    this.#gpu = gpu;
    this.#pipelines = pipelines;
    this.#slotBytes = Math.max(256, capabilities.alignment);
    this.#words = new Uint32Array((SLOTS * this.#slotBytes) / 4);
    this.#flopsPerMs = FIRST_GUESS[capabilities.kind];
    this.#uniforms = this.#uniformBuffer(SLOTS);
  }

  /** Compiles, encodes, submits and awaits `work`. `check` throws if the device has reported an error. */
  async run(
    work: readonly Work[],
    signal: AbortSignal | undefined,
    profiler: Profiler | undefined,
    check: () => void,
  ): Promise<void> {
    signal?.throwIfAborted();
    const labels = new Map<string, string>();
    for (const w of work) {
      if (w.kind === "dispatch") labels.set(w.code, w.label);
      else if (w.kind === "replay" && !this.#prepared.has(w.recording))
        for (const d of w.recording.work) if (d.kind === "dispatch") labels.set(d.code, d.label);
    }
    await this.#pipelines.compile(labels.keys(), (code) => labels.get(code) ?? "");
    const items = work.flatMap((w): readonly Item[] => (w.kind === "replay" ? this.#prepare(w.recording).items : [w]));
    let previous = Promise.resolve();
    for (let i = 0; i < items.length;) {
      signal?.throwIfAborted();
      const end = this.#batchEnd(items, i);
      const done = this.#submit(items.slice(i, end), profiler);
      await previous;
      check();
      previous = done;
      i = end;
    }
    await previous;
    signal?.throwIfAborted();
  }

  /** Copies a range out of a buffer. */
  async read(buffer: PoolBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const size = Math.ceil(bytes / 4) * 4;
    // GPUBufferUsage.MAP_READ | COPY_DST
    const staging = this.#gpu.createBuffer({ label: "read back", size, usage: 0x01 | 0x08 });
    try {
      const encoder = this.#gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(gpuOf(buffer), offset, staging, 0, size);
      this.#gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(1);
      return staging.getMappedRange().slice(0, bytes);
    } finally {
      staging.destroy();
    }
  }

  /** A recording that will not run again. Call it when none of its replays is outstanding. */
  forget(recording: Recording): void {
    this.#prepared.get(recording)?.uniforms.destroy();
    this.#prepared.delete(recording);
  }

  dispose(): void {
    for (const recording of this.#prepared.keys()) this.forget(recording);
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
      const items = recording.work.map((w): Ready | Upload | Copy => {
        if (w.kind !== "dispatch") return w;
        const pipeline = this.#pipelines.get(w.code)!;
        const group = this.#newBindGroup(pipeline, w, uniforms);
        return { kind: "ready", dispatch: w, pipeline, group, offsets: [slot++ * this.#slotBytes] };
      });
      prepared = { items, uniforms };
      this.#prepared.set(recording, prepared);
    }
    return prepared;
  }

  #batchEnd(items: readonly Item[], start: number): number {
    const budget = this.#flopsPerMs * TARGET_MS;
    let flops = 0;
    let slots = 0;
    let i = start;
    for (; i < items.length; i++) {
      const w = items[i]!;
      if (w.kind === "upload" || w.kind === "copy") continue;
      const f = w.kind === "ready" ? w.dispatch.flops : w.flops;
      if (slots === SLOTS || (slots > 0 && flops + f > budget)) break;
      flops += f;
      slots++;
    }
    return i;
  }

  async #submit(batch: readonly Item[], profiler: Profiler | undefined): Promise<void> {
    const stride = this.#slotBytes / 4;
    let count = 0;
    let slot = 0;
    let flops = 0;
    const ready = batch.map((w): Ready | Upload | Copy => {
      if (w.kind === "upload" || w.kind === "copy") return w;
      count++;
      if (w.kind === "ready") {
        flops += w.dispatch.flops;
        return w;
      }
      flops += w.flops;
      this.#words.set(w.params, slot * stride);
      const pipeline = this.#pipelines.get(w.code)!;
      return {
        kind: "ready",
        dispatch: w,
        pipeline,
        group: this.#bindGroup(pipeline, w),
        offsets: [slot++ * this.#slotBytes],
      };
    });
    if (slot > 0) this.#gpu.queue.writeBuffer(this.#uniforms, 0, this.#words, 0, slot * stride);
    const profile = count > 0 ? profiler?.begin(count) : undefined;
    const temporary: GPUBuffer[] = [];
    const encoder = this.#gpu.createCommandEncoder();
    this.#encode(encoder, ready, profile, temporary);
    profile?.resolve(encoder);
    const start = performance.now();
    this.#gpu.queue.submit([encoder.finish()]);
    await this.#gpu.queue.onSubmittedWorkDone();
    for (const b of temporary) b.destroy();
    await profile?.collect();
    const ms = performance.now() - start;
    if (flops > 0 && ms > 1) this.#flopsPerMs += 0.3 * (flops / ms - this.#flopsPerMs);
  }

  #encode(
    encoder: GPUCommandEncoder,
    batch: readonly (Ready | Upload | Copy)[],
    profile: ProfileBatch | undefined,
    temporary: GPUBuffer[],
  ): void {
    let pass: GPUComputePassEncoder | undefined;
    let bound: Pipeline | undefined;
    for (const w of batch) {
      if (w.kind === "ready") {
        if (!pass) {
          pass = encoder.beginComputePass(profile?.pass(w.dispatch));
          bound = undefined;
        }
        if (w.pipeline !== bound) pass.setPipeline(w.pipeline.gpu);
        bound = w.pipeline;
        pass.setBindGroup(0, w.group, w.offsets);
        const [x, y, z] = w.dispatch.workgroups;
        pass.dispatchWorkgroups(x, y, z);
        if (!profile) continue;
      }
      pass?.end();
      pass = undefined;
      if (w.kind === "upload") temporary.push(this.#stage(encoder, w.buffer, w.offset, w.data));
      else if (w.kind === "copy")
        encoder.copyBufferToBuffer(gpuOf(w.from.buffer), w.from.offset, gpuOf(w.to.buffer), w.to.offset, w.from.size);
    }
    pass?.end();
  }

  /** An upload in order with the commands around it: `queue.writeBuffer` would overtake them. */
  #stage(encoder: GPUCommandEncoder, buffer: PoolBuffer, offset: number, data: Uint8Array): GPUBuffer {
    const size = Math.ceil(data.byteLength / 4) * 4;
    // GPUBufferUsage.COPY_SRC
    const staging = this.#gpu.createBuffer({ label: "upload", size, usage: 0x04, mappedAtCreation: true });
    new Uint8Array(staging.getMappedRange()).set(data);
    staging.unmap();
    encoder.copyBufferToBuffer(staging, 0, gpuOf(buffer), offset, size);
    return staging;
  }

  #bindGroup(pipeline: Pipeline, d: Dispatch): GPUBindGroup {
    let key = `${pipeline.id}`;
    for (const b of d.bindings) key += `|${b.buffer.id}:${b.offset}:${b.size}`;
    let group = this.#bindGroups.get(key);
    if (!group) {
      if (this.#bindGroups.size >= MAX_BIND_GROUPS) this.#bindGroups.clear();
      group = this.#newBindGroup(pipeline, d, this.#uniforms);
      this.#bindGroups.set(key, group);
    }
    return group;
  }

  #newBindGroup(pipeline: Pipeline, d: Dispatch, uniforms: GPUBuffer): GPUBindGroup {
    return this.#gpu.createBindGroup({
      label: d.label,
      layout: pipeline.layout,
      entries: [
        { binding: 0, resource: { buffer: uniforms, offset: 0, size: this.#slotBytes } },
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
