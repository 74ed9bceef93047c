// Whether a run fits this adapter, before it starts: its plan's peak, held against what the adapter gives when asked for that
// much. WebGPU tells no amount of memory, so a large plan is tried: buffers of that size are allocated and freed again.

import {
  modelLimits,
  planPipeline,
  type Device,
  type GenerateOptions,
  type ModelLimits,
  type PlannedControl,
} from "../../index.js";
import { plannedGuides } from "./control.js";
import type { Engine } from "./engine.js";
import { generateOptions, regionsOf } from "./run-options.js";
import type { Fit, ModelChoice, RunOptions, RunRequest, Smaller } from "./protocol.js";

/** Below this nothing is tried: every adapter has it. */
const SMALL = 2 ** 30;
/** Bytes of one trial buffer. */
const PIECE = 2 ** 28;

/** Bytes of successful trials by device. */
const proven = new WeakMap<Device, number>();

/** What a choice can be asked for. */
export async function limitsOf({ sources }: Engine, choice: ModelChoice, signal: AbortSignal): Promise<ModelLimits> {
  const { loras: _, ...opened } = await sources.open({ ...choice, loras: [] }, signal);
  return modelLimits(opened);
}

export async function fitOf(engine: Engine, request: RunRequest, signal: AbortSignal): Promise<Fit> {
  const { device, gpu } = await engine.device();
  const { choice, options } = request;
  const precision = choice.precision ?? (device.capabilities.f16 ? "f16" : "f32");
  const { loras: _, ...sources } = await engine.sources.open(choice, signal);
  const plan = (smaller: Smaller) =>
    planPipeline(
      device.capabilities,
      {
        ...sources,
        precision,
        storage: {
          weights: smaller.weights ?? choice.weights ?? precision,
          lowMemory: smaller.lowMemory ?? choice.lowMemory,
        },
      },
      { ...generateOptions(changed(options, smaller), signal), ...videoOf(changed(options, smaller)) },
      guidedBy(engine, request, signal),
    );
  const wanted = await plan({});
  const used = device.memory.reserved;
  const missing = wanted.peakBytes - used;
  const known = Math.max(SMALL, proven.get(device) ?? 0);
  const brief = {
    weightBytes: wanted.weightBytes,
    peakBytes: wanted.peakBytes,
    flops: wanted.flops,
    stages: wanted.stages,
  };
  if (wanted.peakBytes <= known) return { plan: brief, fits: true, instead: [] };
  const given = (await tryAllocation(gpu, missing)) + used;
  proven.set(device, Math.max(known, given));
  if (given >= wanted.peakBytes) return { plan: brief, fits: true, available: given, instead: [] };
  const instead: Smaller[] = [];
  for (const smaller of candidates(options)) {
    if (instead.length === 3) break;
    const p = await plan(smaller).catch(() => undefined);
    if (p && p.peakBytes <= given) instead.push(smaller);
  }
  return { plan: brief, fits: false, available: given, instead };
}

/** What guides the run, on the plan's own device and without the pictures themselves. */
function guidedBy(engine: Engine, request: RunRequest, signal: AbortSignal): PlannedControl | undefined {
  const { control, likenesses = [], options } = request;
  const { motionScale } = options;
  if (!control && likenesses.length === 0 && motionScale === undefined && !options.regions) return undefined;
  return {
    encoder: motionScale !== undefined || control?.guide.kind === "keys",
    inputs: async (pipeline) => ({
      ...regionsOf(options),
      ...(motionScale !== undefined && {
        image: { width: 8, height: 8, count: 1, rgba: new Uint8Array(8 * 8 * 4) },
        motionScale,
      }),
      ...(await plannedGuides(pipeline, request, (id) => engine.sources.guide(id, signal), signal)),
    }),
  };
}

/** Options made smaller, as the page would ask for them: a clip of one window has none, and no sentences beyond its end. */
function changed(o: RunOptions, smaller: Smaller): RunOptions {
  const { long, context, stride, contextSchedule, promptAt, ...rest } = { ...o, ...smaller };
  const stops = Object.entries(promptAt ?? {}).filter(([frame]) => Number(frame) < rest.frames);
  const windows = context !== undefined && rest.frames > context;
  return {
    ...rest,
    ...(windows && {
      context,
      ...(long && { long }),
      ...(stride !== undefined && { stride }),
      ...(contextSchedule && { contextSchedule }),
    }),
    ...(stops.length > 0 && { promptAt: Object.fromEntries(stops) }),
  };
}

/** A video to start from, as far as a plan looks at it. */
function videoOf({ strength, frames: count, width, height }: RunOptions): Pick<GenerateOptions, "video" | "strength"> {
  return strength === undefined ? {} : { video: { width, height, count, rgba: new Uint8Array() }, strength };
}

/** The same picture in less memory, then fewer frames, then smaller pictures, then both; sizes stay multiples of 64. */
function candidates(o: RunOptions): readonly Smaller[] {
  const scaled = (f: number) => ({
    width: Math.max(64, Math.round((o.width * f) / 64) * 64),
    height: Math.max(64, Math.round((o.height * f) / 64) * 64),
  });
  const frames = Math.min(o.frames, 8);
  return [
    { weights: "int8" },
    { lowMemory: true },
    { frames },
    scaled(0.75),
    { ...scaled(0.75), lowMemory: true },
    { ...scaled(0.5), frames },
    { ...scaled(0.5), frames, lowMemory: true },
  ];
}

/** Bytes, of `bytes` asked for, that the adapter allocated; all are freed again. */
async function tryAllocation(gpu: GPUDevice, bytes: number): Promise<number> {
  const buffers: GPUBuffer[] = [];
  let given = 0;
  try {
    while (given < bytes) {
      const size = Math.min(PIECE, gpu.limits.maxBufferSize, Math.ceil((bytes - given) / 256) * 256);
      gpu.pushErrorScope("out-of-memory");
      // GPUBufferUsage.STORAGE
      buffers.push(gpu.createBuffer({ label: "trial", size, usage: 0x80 }));
      if (await gpu.popErrorScope()) break;
      given += size;
    }
  } finally {
    for (const b of buffers) b.destroy();
  }
  return given;
}
