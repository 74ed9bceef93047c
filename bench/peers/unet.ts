// A whole evaluation of the narrow UNet with motion modules (bench/unet.bench.ts) by onnxruntime's WebGPU provider and by
// us, with the same made-up weights and inputs: the first call, in which shaders are compiled, and later ones in turns.
// The graph is diffusers' own, exported by test/reference/unet_onnx.py; both results are compared with diffusers' values.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Device } from "../../src/gpu/device.js";
import { Stopwatch } from "../../src/gpu/stopwatch.js";
import { noise } from "../operands.js";
import { distance } from "../run.js";
import { buildNarrowUNet, FRAMES, madeUpWeight, narrowShaders, SIZE } from "../unet.bench.js";
import { SAMPLES, STRIDE } from "../unet-samples.js";
import { openSession, type OnnxRuntime } from "./onnxruntime.js";

/** Times in milliseconds: medians, and the first call with everything from weights in memory to the result. */
export interface UNetComparison {
  readonly ms: number;
  readonly peerMs: number;
  readonly first: { readonly ms: number; readonly peerMs: number };
  /** Relative L2 distance between the two results. */
  readonly distance: number;
}

/** Largest relative L2 distance from diffusers' values: f32 through some 300 layers. */
const TOLERANCE = 1e-4;
const TEXT = [77, 768] as const;

/**
 * Runs both. `fresh` opens a device that has compiled nothing yet.
 * @throws Error where one of the results is wrong
 */
export async function compareUNet(
  peer: OnnxRuntime,
  fresh: () => Promise<Device>,
  repeats: number,
): Promise<UNetComparison> {
  const { model, feeds } = prepareGraph(peer);

  let start = performance.now();
  const session = await openSession(peer, model);
  const theirs = await session.run(feeds);
  const peerFirst = performance.now() - start;

  start = performance.now();
  using device = await fresh();
  device.compileAhead(narrowShaders(device, "f32"));
  const { source, store, run } = buildNarrowUNet(device, "f32");
  try {
    const made = source(); // made-up weights are generated when they are read: not part of loading
    const generating = performance.now();
    const weights = new Map([...made.entries()].map(({ name, shape }) => [name, madeUpWeight(name, shape)]));
    start += performance.now() - generating;
    await store.load({ ...made, read: (name) => Promise.resolve(new Uint8Array(weights.get(name)!.buffer)) });
    const evaluate = async () => {
      using y = run();
      return await y.read();
    };
    const ours = await evaluate();
    const first = performance.now() - start;

    const same = channelsLast(theirs["y"]!.data);
    for (const [who, values] of [
      ["onnxruntime", same],
      ["Kineograph", ours],
    ] as const) {
      const d = distance(
        values.filter((_, i) => i % STRIDE === 0),
        SAMPLES,
      );
      if (!(d <= TOLERANCE))
        throw new Error(
          `bench --peers unet-narrow: ${who} is ${d.toExponential(1)} from diffusers, at most ${TOLERANCE}`,
        );
    }

    const times = { ours: [] as number[], theirs: [] as number[] };
    const stopwatch = device.capabilities.kind === "gpu" ? new Stopwatch(device) : undefined;
    for (let i = 0; i < repeats; i++) {
      await stopwatch?.warmUp(evaluate);
      start = performance.now();
      await evaluate();
      times.ours.push(performance.now() - start);
      await stopwatch?.warmUp(() => session.run(feeds));
      start = performance.now();
      await session.run(feeds);
      times.theirs.push(performance.now() - start);
    }
    const middle = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
    return {
      ms: middle(times.ours),
      peerMs: middle(times.theirs),
      first: { ms: first, peerMs: peerFirst },
      distance: distance(ours, same),
    };
  } finally {
    store.dispose();
    await session.release();
  }
}

/** The graph with its weights as initializers, and its inputs. */
function prepareGraph({ ort, onnx }: OnnxRuntime): { model: Uint8Array; feeds: Record<string, unknown> } {
  const decoded = onnx.ModelProto.decode(gunzipSync(readFileSync(graphFile())));
  const isInput = (name: string) => ["x", "t", "c"].includes(name);
  for (const { name, type } of decoded.graph.input.filter((i) => !isInput(i.name))) {
    const shape = type.tensorType.shape.dim.map((d) => d.dimValue.toNumber());
    const values = name.endsWith(".pe") ? positions(shape) : madeUpWeight(name, shape);
    decoded.graph.initializer.push({ name, dataType: 1, dims: shape, rawData: new Uint8Array(values.buffer) });
  }
  decoded.graph.input = decoded.graph.input.filter((i) => isInput(i.name));
  const pixels = SIZE * SIZE;
  const latents = noise(FRAMES * pixels * 4);
  const text = noise(TEXT[0] * TEXT[1], 2);
  const everyFrame = new Float32Array(FRAMES * text.length);
  for (let f = 0; f < FRAMES; f++) everyFrame.set(text, f * text.length);
  const x = latents.map((_, i) => latents[(i % (FRAMES * pixels)) * 4 + Math.floor(i / (FRAMES * pixels))]!);
  return {
    model: onnx.ModelProto.encode(decoded).finish(),
    feeds: {
      x: new ort.Tensor("float32", x, [1, 4, FRAMES, SIZE, SIZE]),
      t: new ort.Tensor("int64", new BigInt64Array([999n]), [1]),
      c: new ort.Tensor("float32", everyFrame, [FRAMES, ...TEXT]),
    },
  };
}

/** diffusers' sinusoidal positions `[1, entries, channels]`. */
function positions([, entries = 0, channels = 0]: readonly number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: entries * channels }, (_, i) => {
    const c = i % channels;
    const angle = Math.floor(i / channels) * Math.exp((-(c - (c % 2)) * Math.log(10000)) / channels);
    return c % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

/** `[channels, frames, pixels]` → `[frames, pixels, channels]`. */
function channelsLast(values: Float32Array): Float32Array {
  const rows = values.length / 4;
  return values.map((_, i) => values[(i % 4) * rows + Math.floor(i / 4)]!);
}

/** Beside this file, or beside its source where this file was built into dist/. */
function graphFile(): string {
  const places = ["unet-narrow.onnx.gz", "../../../bench/peers/unet-narrow.onnx.gz"];
  const found = places.map((p) => fileURLToPath(new URL(p, import.meta.url))).find((p) => existsSync(p));
  if (found === undefined)
    throw new Error("bench --peers unet-narrow: bench/peers/unet-narrow.onnx.gz is missing from this installation");
  return found;
}
