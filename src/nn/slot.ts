// The handle behind a layer's parameter: its packed value, wherever that is at the moment (residency.ts).

import type { Device } from "../gpu/device.js";
import type { Shape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { disposeOf, isTransient, leavesOf, materialize, toDevice, toHost, toHostDry } from "./residency.js";

/** What a loaded parameter is: whatever its packing function makes of the raw tensors. */
export interface Parameter<P> {
  /** What is not on the device in this form is brought there for as long as the open scope lasts. */
  readonly value: P;
  /** Runs `body` on the value; what had to be brought to the device for it is freed with it. */
  use<R>(body: (value: P) => R): R;
}

/** What stays on the device between uses, while somebody asks for that. @internal */
export class Held {
  #values: Map<Slot<unknown>, unknown> | undefined;

  /** Runs `body`; what is brought to the device meanwhile is freed when it ends. */
  during<R>(body: () => R): R {
    if (this.#values) return body();
    const values = new Map<Slot<unknown>, unknown>();
    this.#values = values;
    try {
      return body();
    } finally {
      this.#values = undefined;
      for (const value of values.values()) disposeOf(value);
    }
  }

  /** The slot's value, brought by `bring` the first time; undefined where nothing is held. */
  get<P>(slot: Slot<P>, bring: () => P): P | undefined {
    const values = this.#values;
    if (values && !values.has(slot)) {
      const value = bring();
      for (const t of leavesOf(value)) if (t instanceof Tensor) t.device.untrack(t);
      values.set(slot, value);
    }
    return values?.get(slot) as P | undefined;
  }
}

/** Packs raw tensors (PyTorch shapes, f32 or f16, on the device) into what a kernel reads. */
export type Pack<P> = (raw: readonly Tensor[]) => P;

/** A parameter by its names and shapes in the checkpoint. @internal */
export class Slot<P> implements Parameter<P> {
  readonly names: readonly string[];
  readonly shapes: readonly Shape[];
  readonly pack: Pack<P>;
  readonly #device: Device;
  readonly #held: Held;
  #packed: P | undefined;
  #transient = false;
  /** The same on the host: kept once it was parked, so that parking again costs nothing. */
  #parked: P | undefined;

  constructor(device: Device, names: readonly string[], shapes: readonly Shape[], pack: Pack<P>, held: Held) {
    this.#device = device;
    this.#held = held;
    this.names = names;
    this.shapes = shapes;
    this.pack = pack;
  }

  get value(): P {
    const packed = this.#here();
    return this.#transient ? materialize(packed, this.#device) : packed;
  }

  use<R>(body: (value: P) => R): R {
    const packed = this.#here();
    if (!this.#transient) return body(packed);
    const bring = () => materialize(packed, this.#device);
    const held = this.#held.get(this, bring);
    return held === undefined ? this.#device.scope(() => body(bring())) : body(held);
  }

  /** Bytes of it, wherever they are. */
  get bytes(): number {
    return leavesOf(this.#packed ?? this.#parked).reduce((n, t) => n + t.bytes, 0);
  }

  /** Takes ownership of a new value in place of the one before. */
  set(packed: P): void {
    this.dispose();
    this.#packed = packed;
    this.#transient = isTransient(packed);
  }

  /**
   * Moves tensors of at least `from` bytes to the host for good; each use uploads them. On a dry device this and `park`
   * are done when the call returns.
   */
  async stream(from: number): Promise<void> {
    if (this.#packed === undefined) return;
    this.#packed = this.#device.isDry ? toHostDry(this.#packed, from) : await toHost(this.#packed, from);
    this.#transient = isTransient(this.#packed);
  }

  /** Moves everything to the host, until it is used again. */
  async park(): Promise<void> {
    const packed = this.#packed;
    if (packed === undefined) return;
    if (this.#parked !== undefined) disposeOf(packed);
    else this.#parked = this.#device.isDry ? toHostDry(packed, 0) : await toHost(packed, 0);
    this.#packed = undefined;
  }

  dispose(): void {
    disposeOf(this.#packed);
    this.#packed = this.#parked = undefined;
  }

  /** Brought back from the host for good, if need be: aside, since that may be while a step is recorded. */
  #here(): P {
    const parked = this.#parked;
    if (this.#packed === undefined && parked !== undefined)
      this.#packed = this.#device.aside(() => toDevice(parked, this.#device));
    if (this.#packed === undefined)
      throw new Error(`the weights ${this.names.join(", ")} are not loaded yet: await load() first`);
    return this.#packed;
  }
}
