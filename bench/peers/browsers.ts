// jax-js and tfjs-backend-webgpu, libraries for browsers: `navigator.gpu` is handed to them, so that they run in Node on
// the same adapter. Products and convolutions only; operands stay on the device, no result is read back (tfjs: one
// element, the only way it offers to wait).

import { noise } from "../operands.js";
import type { PeerModules } from "./packages.js";

/** A case by one of them, warm. */
export interface BrowserPeer {
  readonly name: "jax-js" | "tfjs";
  /** Milliseconds from the call until the device has finished. */
  time(): Promise<number>;
  dispose(): void;
}

/** A product `[m, k] · [k, n]`, or a same-padded 3×3 convolution of one frame. */
export type BrowserLayer =
  | { readonly kind: "matmul"; readonly m: number; readonly k: number; readonly n: number }
  | { readonly kind: "conv"; readonly channels: number; readonly size: number };

export const BROWSER_LAYERS: Readonly<Record<string, BrowserLayer>> = {
  "matmul-512": { kind: "matmul", m: 512, k: 512, n: 512 },
  "conv3x3-320@32": { kind: "conv", channels: 320, size: 32 },
  "conv3x3-640@16": { kind: "conv", channels: 640, size: 16 },
  "conv3x3-1280@8": { kind: "conv", channels: 1280, size: 8 },
  "linear-1024x320x2560": { kind: "matmul", m: 1024, k: 320, n: 2560 },
};

/** Puts a `navigator.gpu` into the global scope that gives out adapters of `adapter`. */
export function provideNavigator(adapter: () => Promise<GPUAdapter>): void {
  const gpu = { requestAdapter: adapter, getPreferredCanvasFormat: () => "rgba8unorm" };
  Object.defineProperty(globalThis, "navigator", { value: { gpu, userAgent: "Node.js" }, configurable: true });
  Object.assign(globalThis, { self: globalThis });
}

/** The parts of jax-js that are used here. */
interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  dispose(): void;
}
interface Jax {
  init(device: "webgpu"): Promise<unknown>;
  defaultDevice(device: "webgpu"): void;
  blockUntilReady(x: JaxArray): Promise<unknown>;
  jit(f: (a: JaxArray, b: JaxArray) => JaxArray): (a: JaxArray, b: JaxArray) => JaxArray;
  readonly numpy: { array(data: Float32Array): JaxArray; matmul(a: JaxArray, b: JaxArray): JaxArray };
  readonly lax: { conv(x: JaxArray, w: JaxArray, strides: readonly number[], padding: "SAME"): JaxArray };
}

/** jax-js, compiled by its `jit`. */
export async function openJax(modules: PeerModules, layer: BrowserLayer): Promise<BrowserPeer> {
  const jax = (await modules.import("@jax-js/jax")) as Jax;
  await jax.init("webgpu");
  jax.defaultDevice("webgpu");
  const array = (shape: readonly number[]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    return jax.numpy.array(noise(n)).reshape(shape);
  };
  const conv = layer.kind === "conv";
  const a = array(conv ? [1, layer.channels, layer.size, layer.size] : [layer.m, layer.k]);
  const b = array(conv ? [layer.channels, layer.channels, 3, 3] : [layer.k, layer.n]);
  const op = jax.jit((x, w) => (conv ? jax.lax.conv(x, w, [1, 1], "SAME") : jax.numpy.matmul(x, w)));
  const time = async () => {
    const start = performance.now();
    const y = op(a.ref, b.ref);
    await jax.blockUntilReady(y.ref);
    const ms = performance.now() - start;
    y.dispose();
    return ms;
  };
  await time();
  return {
    name: "jax-js",
    time,
    dispose: () => {
      a.dispose();
      b.dispose();
    },
  };
}

/** The parts of tfjs that are used here. */
interface TfTensor {
  flatten(): TfTensor;
  slice(begin: readonly number[], size: readonly number[]): TfTensor;
  data(): Promise<unknown>;
  dispose(): void;
}
interface Tf {
  setBackend(name: "webgpu"): Promise<boolean>;
  tensor(data: Float32Array, shape: readonly number[]): TfTensor;
  matMul(a: TfTensor, b: TfTensor): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: 1, padding: "same"): TfTensor;
}

export async function openTfjs(modules: PeerModules, layer: BrowserLayer): Promise<BrowserPeer> {
  const tf = modules.require("@tensorflow/tfjs") as Tf;
  modules.require("@tensorflow/tfjs-backend-webgpu");
  if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs: its WebGPU backend does not start on this adapter");
  const tensor = (shape: readonly number[]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    return tf.tensor(noise(n), shape);
  };
  const conv = layer.kind === "conv";
  const a = tensor(conv ? [1, layer.size, layer.size, layer.channels] : [layer.m, layer.k]);
  const b = tensor(conv ? [3, 3, layer.channels, layer.channels] : [layer.k, layer.n]);
  const time = async () => {
    const start = performance.now();
    const y = conv ? tf.conv2d(a, b, 1, "same") : tf.matMul(a, b);
    const flat = y.flatten();
    const one = flat.slice([0], [1]);
    await one.data();
    const ms = performance.now() - start;
    for (const t of [y, flat, one]) t.dispose();
    return ms;
  };
  await time();
  return {
    name: "tfjs",
    time,
    dispose: () => {
      a.dispose();
      b.dispose();
    },
  };
}
