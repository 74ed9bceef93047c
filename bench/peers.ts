// `bench --peers`: the same layers, and a whole UNet evaluation, by onnxruntime's WebGPU provider, and products and
// convolutions by jax-js and tfjs, on the same adapter, in the same process, turn by turn with ours.

import type { Device } from "../src/gpu/device.js";
import { casesNamed } from "./index.js";
import { BROWSER_LAYERS, openJax, openTfjs, provideNavigator, type BrowserPeer } from "./peers/browsers.js";
import { PEER_LAYERS } from "./peers/layers.js";
import { onnxRuntime, openLayer } from "./peers/onnxruntime.js";
import { peerModules } from "./peers/packages.js";
import { torchTimes } from "./peers/torch.js";
import { compareUNet } from "./peers/unet.js";
import { prepare, time } from "./run.js";

/** Layers in onnxruntime's longer chain. */
const CHAIN = 4;
const UNET = "unet-narrow";
const UNET_REPEATS = 3;

export interface PeerResult {
  readonly name: string;
  /** Medians on the device: ours, and one layer by onnxruntime. */
  readonly ms: number;
  readonly peerMs: number;
  /** How many times as fast as onnxruntime. */
  readonly ratio: number;
  /** One call of onnxruntime with its inputs from, and its outputs to, host memory. */
  readonly peerWholeMs: number;
  /** Other libraries, where they have this operation. */
  readonly others?: readonly { readonly name: string; readonly ms: number; readonly ratio: number }[];
  /** The UNet's first call, everything from weights in memory to the result, shaders compiled; its results' distance. */
  readonly first?: { readonly ms: number; readonly peerMs: number; readonly ratio: number };
  readonly distance?: number;
  /** PyTorch's on the CPU, for information. */
  readonly torchMs?: number;
}

export interface PeerOptions {
  readonly names?: readonly string[];
  readonly repeats?: number;
  /** A Python that has torch. */
  readonly python?: string | undefined;
  /** Another adapter object for the device's adapter. */
  readonly adapter: () => Promise<GPUAdapter>;
  /** Another device on it, which has compiled nothing yet. */
  readonly fresh: () => Promise<Device>;
  readonly onResult?: (result: PeerResult) => void;
  readonly onMessage?: (message: string) => void;
}

/**
 * Times the cases that have a counterpart, in f32.
 * @throws Error where the packages cannot be installed, a peer does not run on this adapter, or a result is wrong
 */
export async function runPeers(device: Device, options: PeerOptions): Promise<PeerResult[]> {
  const chosen = casesNamed(options.names ?? []).map((c) => c.name);
  const layers = chosen.filter((name) => name in PEER_LAYERS);
  const modules = await peerModules(
    [
      "onnxruntime-node",
      "onnx-proto",
      ...(layers.some((name) => name in BROWSER_LAYERS)
        ? (["@jax-js/jax", "@tensorflow/tfjs", "@tensorflow/tfjs-backend-webgpu"] as const)
        : []),
    ],
    options.onMessage,
  );
  const onnx = onnxRuntime(modules);
  provideNavigator(options.adapter);
  const fresh = async () => {
    const opened = await options.fresh();
    opened.tuning.adopt(device.tuning.choices);
    return opened;
  };
  const results: PeerResult[] = [];
  const add = (result: PeerResult) => {
    results.push(result);
    options.onResult?.(result);
  };
  // A first call comes first: shaders that were compiled for layers would be in the driver's cache.
  const unet = chosen.includes(UNET) ? await compareUNet(onnx, fresh, options.repeats ?? UNET_REPEATS) : undefined;
  for (const name of layers) {
    const ours = await prepare(device, casesNamed([name])[0]!, "f32");
    const layer = PEER_LAYERS[name]!;
    const [one, many] = [await openLayer(onnx, layer, 1), await openLayer(onnx, layer, 1 + CHAIN)];
    const others: BrowserPeer[] = [];
    try {
      const browser = BROWSER_LAYERS[name];
      if (browser) others.push(await openJax(modules, browser), await openTfjs(modules, browser));
      /** On GPUs whoever is to be timed works for a while before: see stopwatch.ts. */
      const warm = (run: () => Promise<number>) => async () => {
        await ours.stopwatch?.warmUp(run);
        return run();
      };
      const runners = [
        () => time(device, ours, true), // warms up itself
        ...[one, many, ...others].map((peer) => warm(() => peer.time())),
      ];
      const times = runners.map((): number[] => []);
      for (let i = 0; i < Math.max(5, options.repeats ?? 7); i++)
        for (const [r, run] of runners.entries()) times[r]!.push(await run());
      const [ms, whole, chained, ...rest] = times.map(middle) as [number, number, number, ...number[]];
      const peerMs = (chained - whole) / CHAIN;
      add({
        name,
        ms,
        peerMs,
        ratio: peerMs / ms,
        peerWholeMs: whole,
        ...(others.length > 0 && {
          others: others.map((o, i) => ({ name: o.name, ms: rest[i]!, ratio: rest[i]! / ms })),
        }),
      });
    } finally {
      ours.dispose();
      for (const o of others) o.dispose();
      await one.release();
      await many.release();
    }
  }
  if (unet)
    add({
      name: UNET,
      ms: unet.ms,
      peerMs: unet.peerMs,
      ratio: unet.peerMs / unet.ms,
      peerWholeMs: unet.peerMs,
      first: { ...unet.first, ratio: unet.first.peerMs / unet.first.ms },
      distance: unet.distance,
    });
  const torch = await torchTimes(
    results.map((r) => r.name),
    options.python,
    options.onMessage,
  );
  return results.map((r) => ({ ...r, ...(torch[r.name] !== undefined && { torchMs: torch[r.name]! }) }));
}

/** Lines of a table. */
export function peerTable(results: readonly PeerResult[]): string[] {
  const row = (name: string, ...columns: string[]) => name.padEnd(34) + columns.map((c) => c.padStart(16)).join("");
  const than = (ms: number, ratio: number) => `${ms.toFixed(1)} (${ratio.toFixed(2)}×)`;
  return [
    row("milliseconds", "ours", "onnxruntime", "with transfers", "PyTorch, CPU", "jax-js", "tfjs"),
    ...results.flatMap(({ name, ms, peerMs, ratio, peerWholeMs, others = [], first, distance, torchMs }) => [
      row(
        name,
        ms.toFixed(1),
        than(peerMs, ratio),
        peerWholeMs.toFixed(1),
        torchMs?.toFixed(1) ?? "",
        ...others.map((o) => than(o.ms, o.ratio)),
      ),
      ...(first ? [row(`${name}, first call`, first.ms.toFixed(1), than(first.peerMs, first.ratio))] : []),
      ...(distance === undefined ? [] : [row("", `results ${distance.toExponential(1)} apart (relative L2)`)]),
    ]),
  ];
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
