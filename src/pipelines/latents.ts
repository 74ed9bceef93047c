// The sampler's tensors on the device: carries out a scheduler's plan there, in f32.

import { linearCombination } from "../../kernels/linear-combination.js";
import type { Device } from "../gpu/device.js";
import type { Slot, StepPlan } from "../schedulers/index.js";
import { Tensor } from "../tensor/tensor.js";

/** Tensors of the latents' size that a step needs beside the slots: the scaled sample, the prediction. */
const PASSING = 2;

/** torch's `[1, c, f, h, w]` to the engine's `[f, h, w, c]`, or back. */
export function toChannelsLast(x: Float32Array, [c, f, h, w]: readonly [number, number, number, number]): Float32Array {
  const y = new Float32Array(x.length);
  const plane = f * h * w;
  for (let i = 0; i < c; i++) for (let p = 0; p < plane; p++) y[p * c + i] = x[i * plane + p]!;
  return y;
}

/** The engine's `[f, h, w, c]` to torch's `[1, c, f, h, w]`. */
export function fromChannelsLast(x: Float32Array, c: number): Float32Array {
  const y = new Float32Array(x.length);
  const plane = x.length / c;
  for (let i = 0; i < c; i++) for (let p = 0; p < plane; p++) y[i * plane + p] = x[p * c + i]!;
  return y;
}

/** Named f32 tensors of one shape `[f, h, w, c]`. */
export class LatentSlots implements Disposable {
  readonly shape: readonly [number, number, number, number];
  readonly #device: Device;
  readonly #slots = new Map<Slot, Tensor>();

  constructor(device: Device, shape: readonly [number, number, number, number]) {
    this.#device = device;
    this.shape = shape;
  }

  get(slot: Slot): Tensor {
    const t = this.#slots.get(slot);
    if (!t) throw new Error(`the sampler reads its slot "${slot}" before it was assigned`);
    return t;
  }

  has(slot: Slot): boolean {
    return this.#slots.has(slot);
  }

  /** Takes ownership of `t`. */
  set(slot: Slot, t: Tensor): void {
    this.#device.untrack(t);
    this.#slots.get(slot)?.dispose();
    this.#slots.set(slot, t);
  }

  /** Host values in torch's layout `[1, c, f, h, w]`. */
  upload(slot: Slot, values: Float32Array): void {
    const [f, h, w, c] = this.shape;
    this.set(slot, Tensor.from(this.#device, toChannelsLast(values, [c, f, h, w]), this.shape, "f32", slot));
  }

  /** Carries out a plan whose `output`, and `noise` where it draws any, were set. */
  apply(plan: StepPlan): void {
    for (const { to, from } of plan.assignments) {
      const terms = from.map(([slot, c]) => [this.get(slot), c] as const);
      this.set(to, linearCombination(terms.length > 0 ? terms : [[this.get("sample"), 0]], `linearCombination ${to}`));
    }
    for (const slot of ["output", "noise"] as const) {
      this.#slots.get(slot)?.dispose();
      this.#slots.delete(slot);
    }
  }

  /** Every slot's values as they are on the device, `[f, h, w, c]`. */
  async snapshot(): Promise<Map<Slot, Float32Array>> {
    const values = new Map<Slot, Float32Array>();
    for (const [slot, t] of new Map(this.#slots)) values.set(slot, await t.read());
    return values;
  }

  /** Sets the slots to those of a snapshot, and only those. */
  restore(values: ReadonlyMap<Slot, Float32Array>): void {
    this.clear();
    for (const [slot, v] of values) this.set(slot, Tensor.from(this.#device, v, this.shape, "f32", slot));
  }

  /** Puts memory aside for a sampler's busiest step, so that its later steps, which hold more than the first, allocate nothing. */
  reserve(plans: readonly StepPlan[]): void {
    const held = new Set<Slot>(["sample"]);
    let most = 0;
    for (const { drawsNoise, assignments } of plans) {
      held.add("output");
      if (drawsNoise) held.add("noise");
      for (const { to } of assignments) {
        most = Math.max(most, held.size + 1); // the new value beside the old ones
        held.add(to);
      }
      held.delete("output");
      held.delete("noise");
    }
    const spare = Array.from({ length: most + PASSING }, () =>
      Tensor.empty(this.#device, this.shape, "f32", "latents"),
    );
    for (const t of spare) t.dispose();
  }

  /** Empties all slots: a run begins anew. */
  clear(): void {
    for (const t of this.#slots.values()) t.dispose();
    this.#slots.clear();
  }

  dispose(): void {
    this.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
