// onnxruntime-node's WebGPU provider: sessions of single layers, and of chains of them. A session takes its inputs from
// host memory and returns its outputs there. To compare arithmetic, a layer is put into a model once and in a chain of
// several; the difference of the two times is free of transfers.

import { noise } from "../operands.js";
import type { Attribute, Layer, Node } from "./layers.js";
import type { PeerModules } from "./packages.js";

/** The parts of onnxruntime-node and onnx-proto that are used here. */
export interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, { readonly data: Float32Array }>>>;
  release(): Promise<void>;
}
interface Long {
  toNumber(): number;
}
/** An input of a graph, as onnx-proto decodes it. */
export interface GraphInput {
  readonly name: string;
  readonly type: { readonly tensorType: { readonly shape: { readonly dim: readonly { readonly dimValue: Long }[] } } };
}
/** A model as onnx-proto decodes it. */
export interface Model {
  readonly graph: { input: GraphInput[]; initializer: object[] };
}
export interface OnnxRuntime {
  readonly ort: {
    readonly Tensor: new (
      type: "float32" | "int64",
      data: Float32Array | BigInt64Array,
      dims: readonly number[],
    ) => unknown;
    readonly InferenceSession: {
      create(
        model: Uint8Array,
        options: { readonly executionProviders: readonly string[]; readonly logSeverityLevel: 3 },
      ): Promise<Session>;
    };
  };
  readonly onnx: {
    readonly ModelProto: {
      decode(bytes: Uint8Array): Model;
      fromObject(model: object): unknown;
      encode(model: unknown): { finish(): Uint8Array };
    };
  };
}

/** onnxruntime out of the folder of peers. */
export function onnxRuntime(modules: PeerModules): OnnxRuntime {
  return {
    ort: modules.require("onnxruntime-node") as OnnxRuntime["ort"],
    onnx: (modules.require("onnx-proto") as { readonly onnx: OnnxRuntime["onnx"] }).onnx,
  };
}

/** A session on the WebGPU provider. @throws Error where onnxruntime has none here */
export function openSession({ ort }: OnnxRuntime, model: Uint8Array): Promise<Session> {
  return ort.InferenceSession.create(model, { executionProviders: ["webgpu"], logSeverityLevel: 3 });
}

/** `length` times a layer, ready to be timed, warm. */
export async function openLayer(
  peer: OnnxRuntime,
  layer: Layer,
  length: number,
): Promise<{ time(): Promise<number>; release(): Promise<void> }> {
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
  const model = peer.onnx.ModelProto.fromObject({
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
  const session = await openSession(peer, peer.onnx.ModelProto.encode(model).finish());
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, shape], i) => {
      const n = shape.reduce((a, b) => a * b, 1);
      const gain = name === "x" ? 1 : layer.gain;
      const values = noise(n, i + 1).map((v) => v * gain);
      return [name, new peer.ort.Tensor("float32", values, shape)];
    }),
  );
  await session.run(feeds);
  return {
    time: async () => {
      const start = performance.now();
      await session.run(feeds);
      return performance.now() - start;
    },
    release: () => session.release(),
  };
}

function value(name: string, elemType: number, shape: readonly number[]): object {
  return { name, type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } } };
}

function attribute([name, v]: [string, Attribute]): object {
  return typeof v === "number" ? { name, type: 2, i: v } : { name, type: 7, ints: v };
}
