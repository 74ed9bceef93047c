// A tensor: a range of a device buffer with a shape, a dtype and a name. Row-major, contiguous. Views share the buffer,
// which goes back to the pool when the last of them is disposed.

import type { Device } from "../gpu/device.js";
import type { PoolBuffer } from "../gpu/pool.js";
import type { Scoped } from "../gpu/scope.js";
import type { Binding } from "../gpu/work.js";
import { bytesPerElement, decode, encode, type DType } from "./dtype.js";
import { elements, shapeText, type Shape } from "./shape.js";

/** A pool buffer with the number of tensors that share it. */
interface Shared {
  readonly buffer: PoolBuffer;
  owners: number;
  /** The values, while they are on the host alone: uploaded when the device first wants them. */
  host?: Uint8Array | undefined;
}

/** Values on a device. Make one with `Tensor.from` or `Tensor.empty`; operations return new ones. */
export class Tensor implements Scoped, Disposable {
  readonly device: Device;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly label: string;
  readonly #shared: Shared;
  /** Byte offset into the buffer. */
  readonly #offset: number;
  #disposed = false;

  private constructor(device: Device, shared: Shared, offset: number, shape: Shape, dtype: DType, label: string) {
    this.device = device;
    this.#shared = shared;
    this.#offset = offset;
    this.shape = shape;
    this.dtype = dtype;
    this.label = label;
    shared.owners++;
    device.track(this);
  }

  /** Uninitialised memory. */
  static empty(device: Device, shape: Shape, dtype: DType, label = ""): Tensor {
    const bytes = Math.ceil((elements(shape) * bytesPerElement(dtype)) / 16) * 16;
    return new Tensor(device, { buffer: device.pool.acquire(bytes, label), owners: 0 }, 0, shape, dtype, label);
  }

  /**
   * Host values as a tensor of `dtype` (default f32).
   * @throws Error where the number of values does not fit the shape
   */
  static from(device: Device, values: ArrayLike<number>, shape: Shape, dtype: DType = "f32", label = ""): Tensor {
    if (values.length !== elements(shape))
      throw new Error(`Tensor.from ${label}: ${values.length} values do not fill the shape ${shapeText(shape)}`);
    const t = Tensor.empty(device, shape, dtype, label);
    device.upload(t.#shared.buffer, encode(values, dtype));
    return t;
  }

  /** Bytes of this dtype, on the host until the device first reads them; not to be changed any more. @internal */
  static fromBytes(device: Device, data: Uint8Array, shape: Shape, dtype: DType, label = ""): Tensor {
    const t = Tensor.empty(device, shape, dtype, label);
    t.#shared.host = data;
    return t;
  }

  /** The bytes of a whole tensor that the device has not asked for yet; undefined where they are there. @internal */
  get hostBytes(): Uint8Array | undefined {
    const { host } = this.#alive();
    return host?.byteLength === this.bytes ? host : undefined;
  }

  /** Number of elements. */
  get size(): number {
    return elements(this.shape);
  }

  get bytes(): number {
    return this.size * bytesPerElement(this.dtype);
  }

  /** The same values in another shape of the same size; shares the buffer. */
  reshape(shape: Shape): Tensor {
    if (elements(shape) !== this.size)
      throw new Error(`reshape: ${String(this)} has ${this.size} elements, ${shapeText(shape)} has ${elements(shape)}`);
    return new Tensor(this.device, this.#alive(), this.#offset, shape, this.dtype, this.label);
  }

  /**
   * Entries `start … start + count` of the first dimension; shares the buffer.
   * @throws Error where the byte offset does not fit the adapter's alignment of bindings (256 bytes)
   */
  slice(start: number, count: number): Tensor {
    const [n = 0, ...rest] = this.shape;
    if (start < 0 || count < 1 || start + count > n)
      throw new Error(`slice ${start}…${start + count}: out of range for ${String(this)}`);
    const offset = this.#offset + start * elements(rest) * bytesPerElement(this.dtype);
    if (offset % this.device.capabilities.alignment !== 0)
      throw new Error(
        `slice: byte offset ${offset} of ${String(this)} is no multiple of ${this.device.capabilities.alignment}`,
      );
    return new Tensor(this.device, this.#alive(), offset, [count, ...rest], this.dtype, this.label);
  }

  /** Whether both are views of one buffer (such tensors may not be input and output of one dispatch). */
  sharesBuffer(other: Tensor): boolean {
    return this.#shared === other.#shared;
  }

  /**
   * The range that a kernel binds: by default all, else `bytes` from byte `start`.
   * @internal
   */
  binding(start = 0, bytes = this.bytes - start): Binding {
    return { buffer: this.#there(), offset: this.#offset + start, size: Math.ceil(bytes / 16) * 16 };
  }

  /** Replaces the values, in order with recorded work; raw bytes of this dtype, from byte `offset` on. @internal */
  write(data: Uint8Array, offset = 0): void {
    this.device.upload(this.#there(), data, this.#offset + offset);
  }

  /** The same for the whole tensor, done also where the run in which it is recorded is given up. @internal */
  writeToStay(data: Uint8Array): void {
    this.device.upload(this.#there(), data, this.#offset, () => !this.#disposed);
  }

  /** Runs what was recorded and returns the values; f16 comes as f32. */
  async read(): Promise<Float32Array<ArrayBuffer>> {
    return (await this.#values()) as Float32Array<ArrayBuffer>;
  }

  /** Runs what was recorded and returns the integers of a u32 tensor. */
  async readU32(): Promise<Uint32Array<ArrayBuffer>> {
    return (await this.#values()) as Uint32Array<ArrayBuffer>;
  }

  /** Runs what was recorded and returns the bytes as they are stored. @internal */
  async readBytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.device.read(this.#there(), this.#offset, this.bytes));
  }

  /** Gives the memory back to the pool (once the last view is disposed). */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.device.untrack(this);
    if (--this.#shared.owners === 0) this.device.pool.release(this.#shared.buffer);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** `f16[640, 320, 3, 3] "down_blocks.1.resnets.0.conv1.weight"` */
  toString(): string {
    return `${this.dtype}${shapeText(this.shape)}${this.label === "" ? "" : ` "${this.label}"`}`;
  }

  async #values(): Promise<ArrayLike<number>> {
    const data = await this.device.read(this.#there(), this.#offset, this.bytes);
    return decode(data, this.dtype);
  }

  /** The buffer, its values on the device. */
  #there(): PoolBuffer {
    const shared = this.#alive();
    const { buffer, host } = shared;
    shared.host = undefined;
    if (host) this.device.upload(buffer, host, 0, () => shared.owners > 0);
    return buffer;
  }

  #alive(): Shared {
    if (this.#disposed) throw new Error(`${String(this)} was disposed`);
    return this.#shared;
  }
}
