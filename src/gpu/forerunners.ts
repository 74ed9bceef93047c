// Compiling ahead where a driver compiles a shader at its first dispatch, one after the other, whatever was asked of it
// before (Mesa's llvmpipe). Other devices dispatch each shader to come with no workgroups, several at once; that leaves it
// in the driver's cache on the disk, where the device that is to run it finds it. Of no use where there is no such cache.

import { bindingsOf } from "./wgsl.js";

/** Where else to compile. */
export interface Elsewhere {
  /** Another device on the same adapter; one that does not validate says nothing about dispatches of nothing. */
  readonly open: () => Promise<GPUDevice>;
  /** Devices at once. */
  readonly count: number;
}

/** A shader that takes no longer than this, in milliseconds, was in the cache. */
const CACHED = 15;
/** The cache is taken to be full when the first so many shaders were in it. */
const PROBES = 4;
/** Bytes of each binding; no shader declares a larger one. */
const SIZE = 16384;

/** The devices that go ahead of one device. */
export class Forerunners {
  readonly #elsewhere: Elsewhere;
  /** Not begun, in order. */
  #queue: string[] = [];
  /** Told for each shader when it needs waiting for no longer; those of the past are told already. */
  readonly #asked = new Map<string, { readonly done: Promise<void>; readonly tell: () => void }>();
  #running = 0;
  #told = 0;
  #slow = 0;

  constructor(elsewhere: Elsewhere) {
    this.#elsewhere = elsewhere;
  }

  /** Begins to compile those of `codes` that are new. Whatever fails fails again where it is needed. */
  begin(codes: Iterable<string>): void {
    for (const code of codes) {
      if (this.#asked.has(code)) continue;
      let tell: () => void = () => undefined;
      const done = new Promise<void>((resolve) => (tell = resolve));
      this.#asked.set(code, { done, tell });
      this.#queue.push(code);
    }
    while (this.#running < Math.min(this.#elsewhere.count, this.#queue.length)) {
      this.#running++;
      void this.#run();
    }
  }

  /** Whether there is something to wait for. */
  get busy(): boolean {
    return this.#told < this.#asked.size;
  }

  /** Waits for those of `codes` that were begun, which come first from now on. */
  async done(codes: readonly string[]): Promise<void> {
    const wanted = new Set(codes);
    this.#queue = [...this.#queue.filter((c) => wanted.has(c)), ...this.#queue.filter((c) => !wanted.has(c))];
    await Promise.all(codes.flatMap((code) => this.#asked.get(code)?.done ?? []));
  }

  /** Begins nothing more. */
  stop(): void {
    this.#queue = [];
  }

  async #run(): Promise<void> {
    let gpu: GPUDevice | undefined;
    try {
      gpu = await this.#elsewhere.open();
      const { lost } = gpu;
      const bindings = new Bindings(gpu);
      for (let code = this.#queue.shift(); code !== undefined; code = this.#queue.shift()) {
        const ms = await Promise.race([bindings.dispatchNothing(code), lost.then(() => undefined)]);
        this.#tell(code);
        if (ms === undefined) break;
        if (ms > CACHED) this.#slow++;
        if (this.#slow === 0 && this.#told >= PROBES) break;
      }
    } catch {
      // the device that runs the shaders compiles them itself
    } finally {
      gpu?.destroy();
      if (--this.#running === 0) {
        this.#queue = [];
        for (const code of this.#asked.keys()) this.#tell(code);
      }
    }
  }

  #tell(code: string): void {
    const asked = this.#asked.get(code)!;
    if (asked.tell === told) return;
    asked.tell();
    this.#asked.set(code, { done: asked.done, tell: told });
    this.#told++;
  }
}

/** Of a shader that nobody waits for any more. */
const told = (): void => undefined;

/** Buffers that stand for whatever a shader binds. */
class Bindings {
  readonly #gpu: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #read: GPUBuffer;
  readonly #written: GPUBuffer;

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    // GPUBufferUsage.UNIFORM, STORAGE
    this.#params = gpu.createBuffer({ size: SIZE, usage: 0x40 });
    this.#read = gpu.createBuffer({ size: SIZE, usage: 0x80 });
    this.#written = gpu.createBuffer({ size: 8 * SIZE, usage: 0x80 });
  }

  /** Has a shader compiled by the driver; returns how long its dispatch took, in milliseconds. */
  async dispatchNothing(code: string): Promise<number> {
    const gpu = this.#gpu;
    const module = gpu.createShaderModule({ code });
    // With validation left out, what is wrong would end the process in the driver's compiler.
    const { messages } = await module.getCompilationInfo();
    if (messages.some((m) => m.type === "error")) throw new Error("a shader to be compiled ahead has errors");
    const bindings = bindingsOf(code);
    const layout = gpu.createBindGroupLayout({
      entries: bindings.map(({ binding, type }) => ({ binding, visibility: 4, buffer: { type } })), // COMPUTE
    });
    const pipeline = await gpu.createComputePipelineAsync({
      layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    const resource = (type: GPUBufferBindingType, i: number): GPUBufferBinding => {
      if (type === "uniform") return { buffer: this.#params, size: SIZE };
      if (type === "storage") return { buffer: this.#written, offset: (i % 8) * SIZE, size: SIZE };
      return { buffer: this.#read, size: SIZE };
    };
    const group = gpu.createBindGroup({
      layout,
      entries: bindings.map(({ binding, type }, i) => ({ binding, resource: resource(type, i) })),
    });
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(0);
    pass.end();
    const start = performance.now();
    gpu.queue.submit([encoder.finish()]);
    await gpu.queue.onSubmittedWorkDone();
    return performance.now() - start;
  }
}
