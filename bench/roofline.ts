// Every layer of the narrow UNet by the GPU's clock: what it computes, moves and takes, for the roofline.

import type { Device } from "../src/gpu/device.js";
import type { ProfileEntry } from "../src/gpu/profiler.js";
import { casesNamed } from "./index.js";
import { measurePeak, prepare, type Peak, type WarmBench } from "./run.js";

/** All dispatches of one layer, over one evaluation of the network. */
export interface RooflinePoint {
  readonly label: string;
  /** The operation: `conv2d`, `linear`, … */
  readonly kind: string;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface Roofline {
  readonly adapter: string;
  readonly dtype: "f32" | "f16";
  readonly network: string;
  readonly peak: Peak;
  readonly points: readonly RooflinePoint[];
}

const NETWORK = "unet-narrow";
const RUNS = 5;

/**
 * Profiles evaluations of the narrow UNet; of each layer the fastest.
 * @throws Error where the adapter has no timestamp queries, or the network's result is wrong
 */
export async function measureRoofline(device: Device, dtype: "f32" | "f16"): Promise<Roofline> {
  const peak = await measurePeak(device);
  const bench = await prepare(device, casesNamed([NETWORK])[0]!, dtype);
  try {
    const points = new Map<string, RooflinePoint>();
    for (let i = 0; i < RUNS; i++) {
      for (const { label, ms, flops, bytes } of await profiled(device, bench)) {
        const before = points.get(label);
        if (!before || ms < before.ms) points.set(label, { label, kind: kindOf(label), ms, flops, bytes });
      }
    }
    const all = [...points.values()].toSorted((a, b) => b.ms - a.ms);
    return { adapter: device.capabilities.name, dtype, network: NETWORK, peak, points: all };
  } finally {
    bench.dispose();
  }
}

/** The dispatches of one evaluation. */
async function profiled(device: Device, { run, stopwatch }: WarmBench): Promise<readonly ProfileEntry[]> {
  if (stopwatch) return stopwatch.profile(run);
  const profiler = device.createProfiler();
  device.profiler = profiler;
  try {
    run().dispose();
    await device.drain();
  } finally {
    device.profiler = undefined;
  }
  return profiler.entries;
}

function kindOf(label: string): string {
  const [operation = ""] = label.split(" ");
  if (operation === "attention") return label.endsWith("attn2") ? "cross-attention" : "self-attention";
  return operation === "temporalAttention" ? "over frames" : operation;
}

/** What each kind of layer reaches together, against the roof at its intensity. */
export function rooflineTable({ peak, points }: Roofline): string[] {
  const row = (name: string, ...columns: string[]) => name.padEnd(20) + columns.map((c) => c.padStart(12)).join("");
  const total = points.reduce((n, p) => n + p.ms, 0);
  const kinds = [...new Set(points.map((p) => p.kind))];
  return [
    row("", "ms", "of all", "GFLOPS", "GB/s", "FLOP/byte", "of the roof"),
    ...kinds.map((kind) => {
      const own = points.filter((p) => p.kind === kind);
      const sum = (of: (p: RooflinePoint) => number) => own.reduce((n, p) => n + of(p), 0);
      const [ms, flops, bytes] = [sum((p) => p.ms), sum((p) => p.flops), sum((p) => p.bytes)];
      const roof = sum((p) => Math.max(p.flops / peak.gflops, p.bytes / peak.gbps) / 1e6);
      return row(
        kind,
        ms.toFixed(1),
        `${((100 * ms) / total).toFixed(0)} %`,
        (flops / ms / 1e6).toFixed(1),
        (bytes / ms / 1e6).toFixed(2),
        (flops / bytes).toFixed(1),
        `${((100 * roof) / ms).toFixed(0)} %`,
      );
    }),
    row("all", total.toFixed(1)),
  ];
}
