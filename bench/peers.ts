// `bench --peers`: the same layers by onnxruntime's WebGPU provider on the same adapter, in the same process, turn by turn
// with ours. onnxruntime-node is installed into a folder for temporary files when asked for; it is no dependency.
//
// A session takes its inputs from host memory and returns its outputs there. To compare arithmetic, a peer's layer is put
// into a model once and in a chain of several; the difference of the two times is free of transfers.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Device } from "../src/gpu/device.js";
import { casesNamed } from "./index.js";
import { noise } from "./operands.js";
import { PEER_LAYERS, type Attribute, type Layer, type Node } from "./peer-layers.js";
import { prepare, time } from "./run.js";

const PACKAGES = ["onnxruntime-node@1.30", "onnx-proto@8"];
/** Layers in the longer chain. */
const CHAIN = 4;

export interface PeerResult {
  readonly name: string;
  /** Medians of one layer on the device. */
  readonly ms: number;
  readonly peerMs: number;
  /** How many times as fast as the peer. */
  readonly ratio: number;
  /** One layer by the peer with its inputs from, and its outputs to, host memory. */
  readonly peerWholeMs: number;
}

export interface PeerOptions {
  readonly names?: readonly string[];
  readonly repeats?: number;
  readonly onResult?: (result: PeerResult) => void;
  readonly onMessage?: (message: string) => void;
}

/** The parts of onnxruntime-node and onnx-proto that are used here. */
interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<unknown>;
  release(): Promise<void>;
}
interface Peer {
  readonly ort: {
    readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
    readonly InferenceSession: {
      create(model: Uint8Array, options: { readonly executionProviders: readonly string[] }): Promise<Session>;
    };
  };
  readonly onnx: {
    readonly ModelProto: {
      fromObject(model: object): unknown;
      encode(model: unknown): { finish(): Uint8Array };
    };
  };
}

/**
 * Times the cases that have a counterpart in onnxruntime, in f32.
 * @throws Error where the packages cannot be installed, or onnxruntime has no WebGPU provider here
 */
export async function runPeers(device: Device, options: PeerOptions = {}): Promise<PeerResult[]> {
  const chosen = casesNamed(options.names ?? []).filter((c) => c.name in PEER_LAYERS);
  const peer = await load(options.onMessage);
  const results: PeerResult[] = [];
  for (const c of chosen) {
    const layer = PEER_LAYERS[c.name]!;
    const ours = await prepare(device, c, "f32");
    const [one, many] = [await open(peer, layer, 1), await open(peer, layer, 1 + CHAIN)];
    try {
      const times = { ours: [] as number[], one: [] as number[], many: [] as number[] };
      for (let i = 0; i < Math.max(5, options.repeats ?? 7); i++) {
        times.ours.push(await time(device, ours));
        times.one.push(await one.time());
        times.many.push(await many.time());
      }
      const [ms, whole, chained] = [middle(times.ours), middle(times.one), middle(times.many)];
      const peerMs = (chained - whole) / CHAIN;
      results.push({ name: c.name, ms, peerMs, ratio: peerMs / ms, peerWholeMs: whole });
    } finally {
      ours.dispose();
      await one.session.release();
      await many.session.release();
    }
    options.onResult?.(results.at(-1)!);
  }
  return results;
}

/** Lines of a table. */
export function peerTable(results: readonly PeerResult[]): string[] {
  const row = (name: string, ...columns: string[]) => name.padEnd(34) + columns.map((c) => c.padStart(14)).join("");
  return [
    row("", "ours, ms", "onnxruntime", "with transfers", "ratio"),
    ...results.map((r) =>
      row(r.name, r.ms.toFixed(2), r.peerMs.toFixed(2), r.peerWholeMs.toFixed(2), `${r.ratio.toFixed(2)}×`),
    ),
  ];
}

async function load(onMessage?: (message: string) => void): Promise<Peer> {
  const folder = join(tmpdir(), "kineograph-peers");
  await mkdir(folder, { recursive: true });
  if (!existsSync(join(folder, "node_modules", "onnxruntime-node"))) {
    onMessage?.(`installing ${PACKAGES.join(" and ")} into ${folder}`);
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const words = ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    try {
      await promisify(execFile)(npm, [...words, ...PACKAGES], { shell: process.platform === "win32" });
    } catch (cause) {
      throw new Error(`bench --peers: npm could not install ${PACKAGES.join(", ")} into ${folder}`, { cause });
    }
  }
  const require = createRequire(join(folder, "peers.js"));
  return {
    ort: require("onnxruntime-node") as Peer["ort"],
    onnx: (require("onnx-proto") as { readonly onnx: Peer["onnx"] }).onnx,
  };
}

async function open(
  { ort, onnx }: Peer,
  layer: Layer,
  length: number,
): Promise<{ session: Session; time(): Promise<number> }> {
  const nodes: Node[] = [];
  let last = "x";
  for (let i = 0; i < length; i++) {
    if (i > 0 && layer.between) {
      nodes.push(...layer.between(last, `in${i}`));
      last = `in${i}`;
    }
    nodes.push(layer.node(last, `y${i}`));
    last = `y${i}`;
  }
  const inputs = { x: layer.x, ...layer.operands };
  const model = onnx.ModelProto.fromObject({
    irVersion: 8,
    opsetImport: [
      { domain: "", version: 18 },
      { domain: "com.microsoft", version: 1 },
    ],
    graph: {
      name: "layer",
      node: nodes.map((n) => ({ ...n, attribute: Object.entries(n.attribute ?? {}).map(attribute) })),
      input: Object.entries(inputs).map(([name, shape]) => value(name, 1, shape)),
      initializer: Object.entries(layer.integers ?? {}).map(([name, v]) => ({
        name,
        dataType: 7,
        dims: [v.length],
        int64Data: v,
      })),
      output: [value(last, 1, layer.y)],
    },
  });
  const providers = { executionProviders: ["webgpu"] };
  const session = await ort.InferenceSession.create(onnx.ModelProto.encode(model).finish(), providers);
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, shape], i) => {
      const n = shape.reduce((a, b) => a * b, 1);
      const gain = name === "x" ? 1 : layer.gain;
      return [
        name,
        new ort.Tensor(
          "float32",
          noise(n, i + 1).map((v) => v * gain),
          shape,
        ),
      ];
    }),
  );
  await session.run(feeds);
  return {
    session,
    time: async () => {
      const start = performance.now();
      await session.run(feeds);
      return performance.now() - start;
    },
  };
}

function value(name: string, elemType: number, shape: readonly number[]): object {
  return { name, type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } } };
}

function attribute([name, v]: [string, Attribute]): object {
  return typeof v === "number" ? { name, type: 2, i: v } : { name, type: 7, ints: v };
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
