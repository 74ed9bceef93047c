/**
 * What a sampler step is, as data: a short list of linear assignments over named tensors ("slots").
 *
 * Every sampler here is linear in its tensors; only the coefficients differ. So a scheduler gives numbers, and whoever
 * holds the tensors (a GPU pipeline, or `applyPlan` below on the CPU) carries them out. A plan depends on the step's
 * index and the configuration alone; what a multistep method remembers lies in the history slots `m1` … `m5`.
 */

/** History of a multistep method: kept from step to step, and saved with an interrupted run. */
export type HistorySlot = "m1" | "m2" | "m3" | "m4" | "m5";

/**
 * - `sample`: the noisy latents x_t; after the plan x at the next timestep.
 * - `output`: what the network returned for `inputScale(i) · sample` at `timesteps[i]` (guidance applied).
 * - `noise`: a fresh N(0, 1) tensor of the sample's shape, one per plan.
 * - `x0`: the estimate of the clean latents; assigned by every plan.
 */
export type Slot = "sample" | "output" | "noise" | "x0" | HistorySlot;

/** A linear combination: Σ coefficient · slot. Empty means zero. No slot occurs twice, no coefficient is 0. */
export type Terms = readonly (readonly [slot: Slot, coefficient: number])[];

/** `to` := Σ coefficient · slot, elementwise in f32. `to` may be among the operands: all are read before it is written. */
export interface Assignment {
  readonly to: Slot;
  /** At most `MAX_TERMS` of them. */
  readonly from: Terms;
}

/** One step: the assignments are carried out in order, each seeing what those before it wrote. */
export interface StepPlan {
  readonly assignments: readonly Assignment[];
  /** Whether to draw `noise` for this plan: where an assignment reads it, and where diffusers draws without using it. */
  readonly drawsNoise: boolean;
}

/** No assignment of any scheduler has more operands than this: a kernel may bind so many. */
export const MAX_TERMS = 5;

/** A sampler for one run: fixed configuration, fixed number of steps. All numbers are f32-accurate. */
export interface Scheduler {
  /** diffusers' class name, for messages. */
  readonly name: string;
  /** The timestep of each network evaluation, in order; a sampler may evaluate more often than it was asked for steps,
   * and a timestep may be fractional (karras sigmas). Plans and scales are indexed like this list. */
  readonly timesteps: readonly number[];
  /** What N(0, 1) noise is multiplied by to be the first sample of a run from pure noise. */
  readonly initNoiseSigma: number;
  /** History slots the plans use, at most; all are unset before the first plan, which reads none. */
  readonly history: readonly HistorySlot[];
  /** The network is given `inputScale(i) · sample`. */
  inputScale(i: number): number;
  /** The assignments after evaluation i. */
  plan(i: number): StepPlan;
  /** The first sample of a run from given latents (video to video): `original · x + noise · N(0, 1)`. */
  addNoise(): { readonly original: number; readonly noise: number };
}

/** Σ weight · terms, merged by slot; terms that vanish are dropped. */
export function combine(...parts: readonly (readonly [terms: Terms, weight: number])[]): Terms {
  const sums = new Map<Slot, number>();
  for (const [terms, weight] of parts) {
    for (const [slot, c] of terms) sums.set(slot, (sums.get(slot) ?? 0) + c * weight);
  }
  return [...sums].filter(([, c]) => c !== 0);
}

/**
 * A plan of these assignments; checks that coefficients are finite and operands few.
 * @param drawsNoise true for a sampler that draws in every step, also where the noise has no weight (diffusers' order
 *   of draws is part of what a seed means)
 */
export function makePlan(assignments: readonly Assignment[], drawsNoise = false): StepPlan {
  for (const { to, from } of assignments) {
    if (from.length > MAX_TERMS)
      throw new Error(`A plan assigns ${to} from ${from.length} slots; ${MAX_TERMS} at most.`);
    const bad = from.find(([, c]) => !Number.isFinite(c));
    if (bad !== undefined) {
      throw new Error(
        `This scheduler configuration gives no finite step: ${to} would take ${bad[1]} times ${bad[0]}. With ` +
          `rescale_betas_zero_snr a model must predict "v_prediction" or "sample"; a final sigma of zero needs ` +
          `lower_order_final.`,
      );
    }
  }
  const reads = assignments.some((a) => a.from.some(([slot]) => slot === "noise"));
  return { assignments, drawsNoise: drawsNoise || reads };
}

/**
 * Carries out a plan on the CPU: `slots` must hold `sample` and `output` (and what earlier plans left) and is updated
 * with fresh arrays. All tensors have the sample's length.
 * @throws when a slot that the plan reads is missing or has another length, or noise is drawn and none given.
 */
export function applyPlan(plan: StepPlan, slots: Map<string, Float32Array>, noise?: Float32Array): void {
  const length = slots.get("sample")?.length;
  const read = (slot: Slot): Float32Array => {
    const x = slot === "noise" ? noise : slots.get(slot);
    if (x === undefined) throw new Error(`The sampler's plan reads "${slot}", which holds nothing; provide it first.`);
    if (x.length !== length) {
      throw new Error(`The sampler's slot "${slot}" has ${x.length} elements where the sample has ${length}.`);
    }
    return x;
  };
  for (const { to, from } of plan.assignments) {
    const operands = from.map(([slot, c]) => [read(slot), c] as const);
    const out = new Float32Array(read("sample").length);
    for (let i = 0; i < out.length; i++) {
      let sum = 0;
      for (const [x, c] of operands) sum += c * x[i]!;
      out[i] = sum;
    }
    slots.set(to, out);
  }
}
