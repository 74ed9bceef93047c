// Turns lists of work into command buffers. Batches are bounded in dispatches and in arithmetic, so that no driver
// watchdog fires and a cancelled run stops soon; at most two are in flight.

import type { Capabilities } from "./limits.js";
import type { Pipeline, PipelineCache } from "./pipelines.js";
import type { PoolBuffer } from "./pool.js";
import type { ProfileBatch, Profiler } from "./profiler.js";
import type { Dispatch, Work } from "./work.js";

/** Uniform slots of one batch; each holds one dispatch's parameters. */
const SLOTS = 512;
/** A batch is cut when it is expected to run this long. */
const TARGET_MS = 100;
/** First guess of the speed, in FLOP per millisecond; corrected after every batch. */
const FIRST_GUESS = { cpu: 4e6, gpu: 1e9 };
/** Bind groups kept; beyond this all are dropped, which costs microseconds each to make again. */
const MAX_BIND_GROUPS = 8192;

/** Encodes and submits. One per device; its caller sees to it that runs do not overlap. */
export class Submitter {
  readonly #gpu: GPUDevice;
  readonly #pipelines: PipelineCache;
  readonly #uniforms: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #slotBytes: number;
  readonly #bindGroups = new Map<string, GPUBindGroup>();
  #flopsPerMs: number;

  constructor(gpu: GPUDevice, capabilities: Capabilities, pipelines: PipelineCache) {
    this.#gpu = gpu;
    this.#pipelines = pipelines;
    this.#slotBytes = Math.max(256, capabilities.alignment);
    this.#words = new Uint32Array((SLOTS * this.#slotBytes) / 4);
    this.#flopsPerMs = FIRST_GUESS[capabilities.kind];
    // GPUBufferUsage.UNIFORM | COPY_DST
    this.#uniforms = gpu.createBuffer({ label: "parameters", size: SLOTS * this.#slotBytes, usage: 0x40 | 0x08 });
  }

  /** Compiles, encodes, submits and awaits `work`. `check` throws if the device has reported an error. */
  async run(
    work: readonly Work[],
    signal: AbortSignal | undefined,
    profiler: Profiler | undefined,
    check: () => void,
  ): Promise<void> {
    signal?.throwIfAborted();
    const dispatches = work.filter((w) => w.kind === "dispatch");
    const labels = new Map(dispatches.map((d) => [d.code, d.label]));
    await this.#pipelines.compile(labels.keys(), (code) => labels.get(code) ?? "");
    let previous = Promise.resolve();
    for (let i = 0; i < work.length;) {
      signal?.throwIfAborted();
      const end = this.#batchEnd(work, i);
      const done = this.#submit(work.slice(i, end), profiler);
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

  dispose(): void {
    this.#uniforms.destroy();
    this.#bindGroups.clear();
  }

  #batchEnd(work: readonly Work[], start: number): number {
    const budget = this.#flopsPerMs * TARGET_MS;
    let flops = 0;
    let slots = 0;
    let i = start;
    for (; i < work.length; i++) {
      const w = work[i]!;
      if (w.kind !== "dispatch") continue;
      if (slots === SLOTS || (slots > 0 && flops + w.flops > budget)) break;
      flops += w.flops;
      slots++;
    }
    return i;
  }

  async #submit(batch: readonly Work[], profiler: Profiler | undefined): Promise<void> {
    const dispatches = batch.filter((w) => w.kind === "dispatch");
    const stride = this.#slotBytes / 4;
    dispatches.forEach((d, i) => this.#words.set(d.params, i * stride));
    if (dispatches.length > 0)
      this.#gpu.queue.writeBuffer(this.#uniforms, 0, this.#words, 0, dispatches.length * stride);
    const profile = profiler?.begin(dispatches.length);
    const temporary: GPUBuffer[] = [];
    const encoder = this.#gpu.createCommandEncoder();
    this.#encode(encoder, batch, profile, temporary);
    profile?.resolve(encoder);
    const start = performance.now();
    this.#gpu.queue.submit([encoder.finish()]);
    await this.#gpu.queue.onSubmittedWorkDone();
    for (const b of temporary) b.destroy();
    await profile?.collect();
    this.#learn(dispatches, performance.now() - start);
  }

  #encode(
    encoder: GPUCommandEncoder,
    batch: readonly Work[],
    profile: ProfileBatch | undefined,
    temporary: GPUBuffer[],
  ): void {
    let pass: GPUComputePassEncoder | undefined;
    let slot = 0;
    for (const w of batch) {
      if (w.kind === "dispatch") {
        pass ??= encoder.beginComputePass(profile?.pass(w));
        const pipeline = this.#pipelines.get(w.code)!;
        pass.setPipeline(pipeline.gpu);
        pass.setBindGroup(0, this.#bindGroup(pipeline, w), [slot++ * this.#slotBytes]);
        pass.dispatchWorkgroups(...w.workgroups);
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
      group = this.#gpu.createBindGroup({
        label: d.label,
        layout: pipeline.layout,
        entries: [
          { binding: 0, resource: { buffer: this.#uniforms, offset: 0, size: this.#slotBytes } },
          ...d.bindings.map(({ buffer, offset, size }, i) => ({
            binding: i + 1,
            resource: { buffer: gpuOf(buffer), offset, size },
          })),
        ],
      });
      this.#bindGroups.set(key, group);
    }
    return group;
  }

  #learn(dispatches: readonly Dispatch[], ms: number): void {
    const flops = dispatches.reduce((sum, d) => sum + d.flops, 0);
    if (flops > 0 && ms > 1) this.#flopsPerMs += 0.3 * (flops / ms - this.#flopsPerMs);
  }
}

function gpuOf(buffer: PoolBuffer): GPUBuffer {
  if (!buffer.gpu) throw new Error(`buffer "${buffer.label}" belongs to a dry run`);
  return buffer.gpu;
}
