// What a run was, in numbers.

import type { Device } from "../gpu/device.js";
import type { FramesEvent } from "../pipelines/animatediff.js";
import type { LoadedPipeline } from "../pipelines/load.js";
import { elapsed } from "./format.js";

/** What `--json` prints. */
export interface Report {
  readonly output: string;
  readonly seed: number | string;
  readonly steps: number;
  readonly timesteps: readonly number[];
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  readonly adapter: string;
  readonly seconds: {
    readonly load: number;
    readonly text: number;
    /** Encoding of --init-video. */
    readonly video?: number;
    readonly denoise: number;
    readonly decode: number;
    readonly encode: number;
    readonly total: number;
  };
  /** On the device; and of the process as a whole, which on a software adapter holds the device's too. */
  readonly memory: { readonly peakBytes: number; readonly weightBytes: number; readonly processPeakBytes: number };
  readonly dispatches: number;
  readonly pipelines: number;
  readonly warnings: readonly string[];
}

export function reportOf(r: {
  output: string;
  result: FramesEvent;
  loadSeconds: number;
  encodeSeconds: number;
  start: number;
  device: Device;
  info: LoadedPipeline["info"];
}): Report {
  const { result, device, info } = r;
  const { seed, steps } = result.settings;
  return {
    output: r.output,
    seed: typeof seed === "bigint" ? String(seed) : seed,
    steps,
    timesteps: result.timesteps,
    frames: result.frames.count,
    width: result.frames.width,
    height: result.frames.height,
    adapter: device.capabilities.name,
    seconds: { load: r.loadSeconds, ...result.seconds, encode: r.encodeSeconds, total: elapsed(r.start) },
    memory: {
      peakBytes: device.memory.peakReserved,
      weightBytes: info.weightBytes,
      processPeakBytes: process.resourceUsage().maxRSS * 1024,
    },
    dispatches: device.counts.dispatches,
    pipelines: device.pipelineCount,
    warnings: [...info.warnings, ...result.warnings],
  };
}
