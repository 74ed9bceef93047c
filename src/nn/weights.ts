// Weights: layers ask a cursor for parameters by their literal checkpoint name and shape and get handles; the store checks
// all of them against the file's header at once, then streams the file to the device in one pass, packing as it goes.
// Host memory stays bounded by a few tensors; nothing is uploaded before everything is known to fit. Where parameters are
// kept afterwards, see residency.ts.

import type { Device } from "../gpu/device.js";
import { bytesPerElement, type DType } from "../tensor/dtype.js";
import { elements, sameShape, shapeText, type Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { quantize } from "./residency.js";
import { Held, Slot, type Pack, type Parameter } from "./slot.js";

export type { Pack, Parameter } from "./slot.js";

/** One or several checkpoint files behind one set of diffusers names. */
export interface WeightSource {
  readonly name: string;
  /** All tensors in file order. */
  entries(): Iterable<{ readonly name: string; readonly shape: Shape; readonly dtype: string }>;
  /** One tensor's values as little-endian bytes of f32 or f16. */
  read(name: string, as: "f32" | "f16"): Promise<Uint8Array>;
}

/** Changes raw weights before they are packed (merging LoRAs). */
export interface Patch {
  /** Called before `apply`: reads what a weight's change needs. */
  prepare(name: string): Promise<void>;
  /** The changed weight; the same tensor where there is nothing to change. */
  apply(name: string, raw: Tensor): Tensor;
}

/** How far loading is. */
export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly name: string;
}

export interface LoadOptions {
  readonly patch?: Patch;
  /** Loads again only what is made of these names; the rest stays. */
  readonly only?: ReadonlySet<string>;
  readonly onProgress?: (p: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

/** Bytes that loading may take beside the weights themselves before it waits for the device: a share of all, within bounds. */
const SPARE = { share: 1 / 8, least: 2 ** 20, most: 64 * 2 ** 20 };

/** Smallest tensor that is streamed, in bytes: smaller ones together are a few per cent, but most of the uploads. */
const LEAST_STREAMED = 2 ** 16;

/** How a network's parameters are kept. */
export interface Storage {
  /** Packed matrices as 8-bit codes, decoded at each use; the store's dtype must be f16. Default false. */
  readonly int8?: boolean;
  /** Large tensors stay on the host, uploaded at each use. Default false. */
  readonly streamed?: boolean;
  /** All of it is on the host between `rest()` and the next use. Default false. */
  readonly resting?: boolean;
}

/** A tensor of a file as it lies there; without its values in a dry run. */
interface Raw {
  readonly data: Uint8Array | undefined;
  readonly dtype: DType;
}

/** The parameters of one network and where they come from. */
export class WeightStore {
  readonly device: Device;
  /** Storage of packed matrices. */
  readonly dtype: "f32" | "f16";
  readonly storage: Storage;
  readonly #slots: Slot<unknown>[] = [];
  readonly #ignored: RegExp[] = [];
  readonly #held = new Held();
  #pins = 0;

  constructor(device: Device, dtype: "f32" | "f16", storage: Storage = {}) {
    if (storage.int8 === true && dtype !== "f16") throw new Error(`8-bit codes are made of f16 weights, not ${dtype}`);
    this.device = device;
    this.dtype = dtype;
    this.storage = storage;
  }

  /** Bytes of all parameters loaded, on the device or on the host. */
  get bytes(): number {
    return this.#slots.reduce((n, s) => n + s.bytes, 0);
  }

  /** The cursor at the root of the names. */
  get root(): Weights {
    return new Weights(this, "");
  }

  /** Number of scalar parameters asked for so far. */
  get parameters(): number {
    return this.count(() => true);
  }

  /** Scalar parameters of the names that pass. */
  count(passes: (name: string) => boolean): number {
    let n = 0;
    for (const { name, shape } of this.wanted()) if (passes(name)) n += elements(shape);
    return n;
  }

  /** Bytes that loading reads from `source`, of all or of what is made of the names `only`. */
  bytesIn(source: WeightSource, only?: ReadonlySet<string>): number {
    const types = new Map([...source.entries()].map((e) => [e.name, rawType(e.dtype)]));
    let bytes = 0;
    for (const slot of this.#slotsOf(only))
      for (const [i, name] of slot.names.entries()) {
        const type = types.get(name);
        if (type) bytes += elements(slot.shapes[i]!) * bytesPerElement(type);
      }
    return bytes;
  }

  #slotsOf(only: ReadonlySet<string> | undefined): readonly Slot<unknown>[] {
    return only ? this.#slots.filter((s) => s.names.some((n) => only.has(n))) : this.#slots;
  }

  /** Names and PyTorch shapes of everything asked for. */
  *wanted(): Iterable<{ name: string; shape: Shape }> {
    for (const s of this.#slots) for (const [i, name] of s.names.entries()) yield { name, shape: s.shapes[i]! };
  }

  /** Names in the file that this network has no use for, and that are no mistake. */
  ignore(pattern: RegExp): void {
    this.#ignored.push(pattern);
  }

  /** @internal */
  slot<P>(names: readonly string[], shapes: readonly Shape[], pack: Pack<P>): Parameter<P> {
    const slot = new Slot(this.device, names, shapes, pack, this.#held);
    this.#slots.push(slot);
    return slot;
  }

  /** @throws Error that lists every missing, misshapen and unused name of `source`. */
  check(source: WeightSource): void {
    const there = new Map([...source.entries()].map((e) => [e.name, e]));
    const problems: string[] = [];
    const used = new Set<string>();
    for (const slot of this.#slots) {
      slot.names.forEach((name, i) => {
        used.add(name);
        const entry = there.get(name);
        const shape = slot.shapes[i]!;
        if (!entry) problems.push(`missing: "${name}" ${shapeText(shape)}`);
        else if (!sameShape(entry.shape, shape))
          problems.push(`misshapen: "${name}" is ${shapeText(entry.shape)}, expected ${shapeText(shape)}`);
      });
    }
    for (const name of there.keys())
      if (!used.has(name) && !this.#ignored.some((p) => p.test(name)))
        problems.push(`unused: "${name}" ${shapeText(there.get(name)!.shape)}`);
    if (problems.length > 0) {
      const shown = problems.slice(0, 40);
      const more = problems.length - shown.length;
      throw new Error(
        `${source.name} does not fit this network (${problems.length} of its names): is it of another model family or size?\n  ` +
          `${shown.join("\n  ")}${more > 0 ? `\n  … and ${more} more` : ""}`,
      );
    }
  }

  /**
   * Streams all parameters to the device. Slots already loaded are replaced, so that a changed LoRA stack is merged again
   * from the base.
   */
  async load(source: WeightSource, options: LoadOptions = {}): Promise<void> {
    this.check(source);
    if (this.device.isDry) return this.pretend(source);
    const entries = new Map([...source.entries()].map((e) => [e.name, e]));
    const order = new Map([...entries.keys()].map((name, i) => [name, i]));
    const position = (s: Slot<unknown>) => order.get(s.names[0] ?? "") ?? -1;
    const slots = this.#slotsOf(options.only).toSorted((a, b) => position(a) - position(b));
    const typeOf = (name: string) => rawType(entries.get(name)!.dtype);
    const bytes = (s: Slot<unknown>) =>
      s.names.reduce((n, name, i) => n + elements(s.shapes[i]!) * bytesPerElement(typeOf(name)), 0);
    const totalBytes = this.bytesIn(source, options.only);
    const spare = spareOf(totalBytes);
    let loadedBytes = 0;
    let inFlight = 0;
    const read: { readonly slot: Slot<unknown>; readonly raw: readonly Raw[] }[] = [];
    // What is packed is drained before anything else is awaited: another run's drain would take it along, and drop it where
    // that run is given up.
    const settle = async () => {
      while (read.length > 0) {
        const fresh: Slot<unknown>[] = [];
        do {
          const { slot, raw } = read.shift()!;
          slot.dispose();
          this.#pack(slot, raw, options.patch);
          fresh.push(slot);
        } while (read.length > 0 && hoarded(this.device) < spare);
        await this.device.drain(options.signal);
        if (this.storage.streamed === true) for (const slot of fresh) await slot.stream(LEAST_STREAMED);
        this.device.trim();
      }
      inFlight = 0;
    };
    for (const slot of slots) {
      options.signal?.throwIfAborted();
      for (const name of slot.names) await options.patch?.prepare(name);
      const data = await Promise.all(slot.names.map((name) => source.read(name, typeOf(name))));
      read.push({ slot, raw: data.map((d, i) => ({ data: d, dtype: typeOf(slot.names[i]!) })) });
      loadedBytes += bytes(slot);
      inFlight += bytes(slot);
      if (inFlight >= spare) await settle();
      options.onProgress?.({ loadedBytes, totalBytes, name: slot.names[0] ?? "" });
    }
    await settle();
  }

  /** Packs parameters without values, for a dry run. `source` tells their types in the file; without one they are `dtype`. */
  pretend(source?: Pick<WeightSource, "entries">): void {
    const types = new Map([...(source?.entries() ?? [])].map((e) => [e.name, rawType(e.dtype)]));
    const bytes = [...this.wanted()].reduce((n, w) => n + elements(w.shape) * bytesPerElement(this.dtype), 0);
    for (const slot of this.#slots) {
      this.#pack(
        slot,
        slot.names.map((name) => ({ data: undefined, dtype: types.get(name) ?? this.dtype })),
        undefined,
      );
      if (this.storage.streamed === true) void slot.stream(LEAST_STREAMED);
      if (hoarded(this.device) >= spareOf(bytes)) this.device.trim();
    }
    this.device.trim();
  }

  /** What `body` brings to the device to use it stays there until it ends: for a layer that is run on one part after another. */
  hold<R>(body: () => R): R {
    return this.#held.during(body);
  }

  /** Keeps the parameters on the device, for a recording that reads them, until the result is disposed. */
  pin(): Disposable {
    this.#pins++;
    let pinned = true;
    const dispose = () => {
      if (pinned) this.#pins--;
      pinned = false;
    };
    return { [Symbol.dispose]: dispose };
  }

  /**
   * Nobody needs the parameters soon: where the storage says so, and nothing has pinned them, they move to the host, and
   * the next use of any brings it back. The first time reads them back, later ones only free. On a dry device it is done
   * when the call returns.
   */
  async rest(): Promise<void> {
    if (this.storage.resting !== true || this.#pins > 0) return;
    if (this.device.isDry) for (const slot of this.#slots) void slot.park();
    else for (const slot of this.#slots) await slot.park();
    this.device.trim();
  }

  /**
   * Runs `body`, which uses the parameters for a while; then they rest, unless others still use them. So they do where it
   * fails: the next use brings them to the device anew.
   */
  async awake<R>(body: () => Promise<R>): Promise<R> {
    const pin = this.pin();
    let result: R;
    try {
      result = await body();
    } catch (error) {
      pin[Symbol.dispose]();
      await this.rest().catch(() => undefined); // a device that failed may fail to read back too; the first error counts
      throw error;
    }
    pin[Symbol.dispose]();
    await this.rest();
    return result;
  }

  /** Frees every parameter. */
  dispose(): void {
    for (const slot of this.#slots) slot.dispose();
  }

  #pack(slot: Slot<unknown>, raw: readonly Raw[], patch: Patch | undefined): void {
    const packed = this.device.scope(() => {
      const tensors = raw.map(({ data, dtype }, i) => {
        const name = slot.names[i]!;
        const t = data
          ? Tensor.fromBytes(this.device, data, slot.shapes[i]!, dtype, name)
          : Tensor.empty(this.device, slot.shapes[i]!, dtype, name);
        return patch ? patch.apply(name, t) : t;
      });
      return slot.pack(tensors);
    });
    slot.set(this.storage.int8 === true ? quantize(packed) : packed);
  }
}

/** How a stored type travels to the device: f16 as it is, all others as f32. */
function rawType(stored: string): "f32" | "f16" {
  return stored.toLowerCase() === "f16" ? "f16" : "f32";
}

/** Bytes that loading a network of `total` bytes may take beside it. */
function spareOf(total: number): number {
  return Math.min(SPARE.most, Math.max(SPARE.least, total * SPARE.share));
}

/** Bytes of free buffers. */
function hoarded({ memory }: Device): number {
  return memory.reserved - memory.used;
}

/** A position in a checkpoint's tree of names. */
export class Weights {
  readonly store: WeightStore;
  readonly prefix: string;

  constructor(store: WeightStore, prefix: string) {
    this.store = store;
    this.prefix = prefix;
  }

  get device(): Device {
    return this.store.device;
  }

  /** The position `name` below this one: `w.at("resnets").at(0)` or `w.at("resnets.0")`. */
  at(name: string | number): Weights {
    return new Weights(this.store, this.name(String(name)));
  }

  /** Full checkpoint name of a parameter here. */
  name(local: string): string {
    return this.prefix === "" ? local : `${this.prefix}.${local}`;
  }

  /** One parameter. */
  param<P>(local: string, shape: Shape, pack: (raw: Tensor) => P): Parameter<P> {
    return this.store.slot([this.name(local)], [shape], ([raw]) => pack(raw!));
  }

  /** Several parameters packed into one. */
  params<P>(locals: readonly string[], shapes: readonly Shape[], pack: Pack<P>): Parameter<P> {
    return this.store.slot(
      locals.map((l) => this.name(l)),
      shapes,
      pack,
    );
  }
}
