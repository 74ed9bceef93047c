// Times of a run's dispatches by timestamp queries, told to the page as they come: what the Learn tab draws.

import type { Device, Profiler } from "../../index.js";
import type { RunEvent } from "./protocol.js";

/** Between two reports, in milliseconds. */
const INTERVAL = 250;

export class KernelTimes {
  readonly #device: Device;
  readonly #profiler: Profiler;
  readonly #emit: (event: RunEvent) => void;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(device: Device, emit: (event: RunEvent) => void) {
    this.#device = device;
    this.#profiler = device.createProfiler();
    this.#emit = emit;
    device.profiler = this.#profiler;
    this.#timer = setInterval(() => this.#report(), INTERVAL);
  }

  /** The WGSL that ran under a label. */
  source(label: string): string | undefined {
    return this.#profiler.entries.find((e) => e.label === label)?.code;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#device.profiler = undefined;
    this.#report();
  }

  #report(): void {
    const kernels = this.#profiler.entries.map(({ label, calls, ms, flops, bytes }) => ({
      label,
      calls,
      ms,
      flops,
      bytes,
    }));
    this.#emit({ type: "profile", kernels });
  }
}
