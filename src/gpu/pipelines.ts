// Compute pipelines, one per shader text. Compiled asynchronously and in parallel when a batch of recorded work first
// needs them, so that a page never blocks on a compiler.

import { GPUValidationError } from "./errors.js";
import { Forerunners, type Elsewhere } from "./forerunners.js";
import type { Patience } from "./patience.js";
import { bindingsOf } from "./wgsl.js";

/** A compiled shader with the layout of its group 0: binding 0 the uniform block, then storage buffers. */
export interface Pipeline {
  readonly id: number;
  readonly gpu: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Compiles each distinct WGSL text once. */
export class PipelineCache {
  readonly #gpu: GPUDevice;
  readonly #patience: Patience;
  readonly #forerunners: Forerunners | undefined;
  readonly #ready = new Map<string, Pipeline>();
  readonly #pending = new Map<string, Promise<Pipeline>>();
  #seconds = 0;

  constructor(gpu: GPUDevice, patience: Patience, elsewhere?: Elsewhere) {
    this.#gpu = gpu;
    this.#forerunners = elsewhere && new Forerunners(elsewhere);
    this.#patience = patience;
  }

  /** Number of pipelines compiled so far. */
  get size(): number {
    return this.#ready.size;
  }

  /** Number of pipelines being compiled. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Wall-clock seconds spent waiting for the compiler. */
  get seconds(): number {
    return this.#seconds;
  }

  /** The pipeline of a text, if it has been compiled. */
  get(code: string): Pipeline | undefined {
    return this.#ready.get(code);
  }

  /** Compiles those of `codes` that are new, all at once, and waits for them; `label` names a text in errors. */
  async compile(codes: Iterable<string>, label: (code: string) => string): Promise<void> {
    const wanted = [...new Set(codes)];
    const missing = wanted.filter((c) => !this.#ready.has(c));
    const ahead = this.#forerunners?.busy === true ? this.#forerunners.done(wanted) : undefined;
    if (missing.length === 0 && !ahead) return;
    const start = performance.now();
    await this.#patience.wait(Promise.all([ahead, ...missing.map((code) => this.#one(code, label(code)))]));
    this.#seconds += (performance.now() - start) / 1000;
  }

  /** Begins to compile `codes`; nobody waits. One that fails is compiled again, and fails, where it is needed. */
  ahead(codes: Iterable<string>): void {
    const missing = [...codes].filter((code) => !this.#ready.has(code));
    this.#forerunners?.begin(missing);
    for (const code of missing) this.#one(code, "compiled ahead").catch(() => undefined);
  }

  /** Begins nothing more ahead. */
  dispose(): void {
    this.#forerunners?.stop();
  }

  #one(code: string, label: string): Promise<Pipeline> {
    let pending = this.#pending.get(code);
    if (!pending) {
      pending = this.#create(code, label).finally(() => this.#pending.delete(code));
      this.#pending.set(code, pending);
    }
    return pending;
  }

  async #create(code: string, label: string): Promise<Pipeline> {
    const compute = 4; // GPUShaderStage.COMPUTE
    const layout = this.#gpu.createBindGroupLayout({
      label,
      entries: bindingsOf(code).map(({ binding, type }) => ({
        binding,
        visibility: compute,
        buffer: { type },
      })),
    });
    // Errors surface below, with the compiler's messages; without a scope they would be reported a second time.
    this.#gpu.pushErrorScope("validation");
    const module = this.#gpu.createShaderModule({ label, code });
    const popped = this.#gpu.popErrorScope().catch(() => null);
    try {
      const gpu = await this.#gpu.createComputePipelineAsync({
        label,
        layout: this.#gpu.createPipelineLayout({ label, bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      });
      const pipeline = { id: this.#ready.size, gpu, layout };
      this.#ready.set(code, pipeline);
      return pipeline;
    } catch (cause) {
      await popped;
      const info = await module.getCompilationInfo().catch(() => undefined);
      const lines = info?.messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join("\n") ?? "";
      throw new GPUValidationError(`shader "${label}" does not compile: ${(cause as Error).message}\n${lines}`, {
        cause,
      });
    }
  }
}
