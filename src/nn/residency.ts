// Where a packed parameter is kept between uses. What a pack function made is a tree of plain objects whose leaves are
// tensors; a leaf may stand for its tensor in another form: bytes on the host, or 8-bit codes. Using the parameter makes
// tensors of such leaves again, for as long as the scope lasts in which it is used.

import { dequantizeGemm } from "../../kernels/gemm-dequantize.js";
import { quantizeGemm } from "../../kernels/gemm-quantize.js";
import type { Device } from "../gpu/device.js";
import { bytesPerElement, type DType } from "../tensor/dtype.js";
import { elements, type Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";

/** A tensor's bytes on the host. */
export class HostTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly label: string;
  /** Absent where nothing is executed. */
  readonly #data: Uint8Array | undefined;

  constructor({ shape, dtype, label }: Pick<Tensor, "shape" | "dtype" | "label">, data: Uint8Array | undefined) {
    this.shape = shape;
    this.dtype = dtype;
    this.label = label;
    this.#data = data;
  }

  /** The values that `t` has when what is recorded so far has run, anew in each replay. `t` stays the caller's. */
  static park(t: Tensor): HostTensor {
    return new HostTensor(t, t.device.download(t.binding()));
  }

  get bytes(): number {
    return elements(this.shape) * bytesPerElement(this.dtype);
  }

  /** The tensor, on the device for as long as the open scope lasts. */
  upload(device: Device): Tensor {
    const t = Tensor.empty(device, this.shape, this.dtype, this.label);
    if (this.#data) t.write(this.#data);
    return t;
  }

  /** The tensor, on the device until it is disposed, for any run: it belongs to no scope. */
  settle(device: Device): Tensor {
    const t = Tensor.empty(device, this.shape, this.dtype, this.label);
    device.untrack(t);
    if (this.#data) t.writeToStay(this.#data);
    return t;
  }
}

/** A packed f16 matrix as 8-bit codes. */
export class CodedTensor {
  readonly shape: Shape;
  readonly codes: Leaf;
  readonly scales: Leaf;

  constructor(shape: Shape, codes: Leaf, scales: Leaf) {
    this.shape = shape;
    this.codes = codes;
    this.scales = scales;
  }
}

type Leaf = Tensor | HostTensor;

function isLeaf(value: unknown): value is Leaf {
  return value instanceof Tensor || value instanceof HostTensor;
}

/** All leaves of a packed value, codes and scales one by one. */
export function leavesOf(value: unknown): Leaf[] {
  if (isLeaf(value)) return [value];
  if (value instanceof CodedTensor) return [value.codes, value.scales];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leavesOf) : [];
}

/** The value with its leaves replaced; objects are copied, the rest is shared. */
function mapLeaves<P>(value: P, f: (leaf: Leaf) => Leaf): P {
  if (isLeaf(value)) return f(value) as P;
  if (value instanceof CodedTensor) return new CodedTensor(value.shape, f(value.codes), f(value.scales)) as P;
  return entriesMapped(value, (v) => mapLeaves(v, f));
}

/** A plain object or array with its values mapped, anything else as it is. */
function entriesMapped<P>(value: P, f: (v: unknown) => unknown): P {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((v: unknown) => f(v)) as P;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, f(v)])) as P;
}

/** The value with every tensor of at least `from` bytes on the host instead; those tensors are disposed. */
export async function toHost<P>(value: P, from: number): Promise<P> {
  const data = new Map<Tensor, Uint8Array>();
  for (const t of leavesOf(value)) if (t instanceof Tensor && t.bytes >= from) data.set(t, await t.readBytes());
  return moved(value, data);
}

/** `toHost` on a device that executes nothing, where there are no bytes to wait for. */
export function toHostDry<P>(value: P, from: number): P {
  const tensors = leavesOf(value).filter((t) => t instanceof Tensor);
  return moved(value, new Map(tensors.filter((t) => t.bytes >= from).map((t) => [t, undefined])));
}

function moved<P>(value: P, data: ReadonlyMap<Tensor, Uint8Array | undefined>): P {
  const result = mapLeaves(value, (leaf) =>
    leaf instanceof Tensor && data.has(leaf) ? new HostTensor(leaf, data.get(leaf)) : leaf,
  );
  for (const t of data.keys()) t.dispose();
  return result;
}

/** The value with everything on the device again; the new tensors belong to no scope. */
export function toDevice<P>(value: P, device: Device): P {
  return mapLeaves(value, (leaf) => (leaf instanceof Tensor ? leaf : leaf.settle(device)));
}

/** Whether a use of the value makes tensors. */
export function isTransient(value: unknown): boolean {
  if (value instanceof HostTensor || value instanceof CodedTensor) return true;
  if (typeof value !== "object" || value === null || value instanceof Tensor) return false;
  return Object.values(value).some(isTransient);
}

/** What kernels read: uploads what is on the host, decodes what is coded, into the open scope. */
export function materialize<P>(value: P, device: Device): P {
  const load = (t: Leaf): Tensor => (t instanceof Tensor ? t : t.upload(device));
  if (isLeaf(value)) return load(value) as P;
  if (value instanceof CodedTensor) {
    const { codes, scales, shape } = value;
    return device.scope(() => dequantizeGemm({ codes: load(codes), scales: load(scales) }, shape)) as P;
  }
  return entriesMapped(value, (v) => materialize(v, device));
}

/** Smallest matrix that is worth coding, in values: below, the scales and a dispatch weigh more than what is saved. */
const LEAST_CODED = 4096;

/** The value with its packed matrices (what packLinear and packConv2d make) coded; records the coding. */
export function quantize<P>(value: P): P {
  if (typeof value !== "object" || value === null) return value;
  const { weight } = value as { readonly weight?: unknown };
  if (!(weight instanceof Tensor) || weight.dtype !== "f16" || weight.shape.length !== 4 || weight.size < LEAST_CODED)
    return value;
  const { codes, scales } = quantizeGemm(weight);
  weight.dispose();
  return { ...value, weight: new CodedTensor(weight.shape, codes, scales) };
}

/** Frees the tensors of a packed value. */
export function disposeOf(value: unknown): void {
  for (const t of leavesOf(value)) if (t instanceof Tensor) t.dispose();
}
