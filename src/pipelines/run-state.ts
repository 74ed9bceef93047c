// The state of an unfinished run, as a safetensors file: enough to go on and end in the same bits. Tensors `slot.<name>`
// f32 [f, h, w, c] (the sampler's memory included) and `generator` (torch's state bytes); what the run was asked for is in
// the metadata, so that it is not taken up with another model or other options.

import type { Choices } from "../gpu/tuning.js";
import type { ByteSource } from "../io/byte-source.js";
import { sha256 } from "../io/checkpoint-hash.js";
import { CheckpointError } from "../io/errors.js";
import { openSafetensors, writeSafetensors } from "../io/safetensors.js";
import type { Slot } from "../schedulers/index.js";
import { version } from "../version.js";

/** How far a run is. */
export interface Progress {
  /** Steps done. */
  readonly done: number;
  /** The sampler's tensors, `[f, h, w, c]`. */
  readonly slots: ReadonlyMap<Slot, Float32Array>;
  /** `TorchGenerator.getState()`. */
  readonly generator: Uint8Array;
}

/** A run that can go on. */
export interface RunState extends Progress {
  readonly shape: readonly [frames: number, h: number, w: number, c: number];
  /** What determines its result: by name, values as JSON, pictures as hashes. */
  readonly run: Readonly<Record<string, unknown>>;
}

/** What a model is, by its parts; its content as hashes. */
export type ModelIdentity = Readonly<Record<string, unknown>>;

const KIND = "kineograph run state";

const LEFT_BEHIND = "give the file that an interrupted run left behind";

/** A state that a run cannot go on from. */
export class ResumeError extends Error {
  override readonly name = "ResumeError";
  /** Why not; the message goes on with the cure. */
  readonly reason: string;

  constructor(reason: string, cure: string, options?: ErrorOptions) {
    super(`${reason}; ${cure}`, options);
    this.reason = reason;
  }
}

/**
 * What determines a run's result, comparable by `checkResumable`. Every setting counts, binary data by its sha256; so do the
 * kernels that were chosen by measurement, since sums taken in another order end in other bits.
 */
export async function describeRun(settings: object, model: ModelIdentity, choices: Choices): Promise<RunState["run"]> {
  const tuning = Object.keys(choices).length > 0 ? choices : undefined;
  return { version, model: await plain(model), ...((await plain({ ...settings, tuning })) as Record<string, unknown>) };
}

/** The kernels that a run began with: it goes on with the same. */
export function choicesOfRun({ run }: RunState): Choices {
  const entries = Object.entries((run["tuning"] ?? {}) as Record<string, unknown>);
  return Object.fromEntries(entries.map(([site, way]) => [site, String(way)]));
}

/** @throws ResumeError naming the first thing in which the state's run is another one than this */
export function checkResumable(state: RunState, run: RunState["run"]): void {
  const key = differences(state.run, run)[0];
  if (key === undefined) return;
  const [before, now] = [state.run[key], run[key]];
  throw key === "model"
    ? new ResumeError(
        `the state to resume is of a run with another model (other ${differences(before, now).join(", ")})`,
        "load what that run used, or start anew without it",
      )
    : new ResumeError(
        `the state to resume is of another run: its ${key} was ${shown(before)}, now it is ${shown(now)}`,
        "give the same options, or start anew without it",
      );
}

/** Names by which two records differ. */
function differences(a: unknown, b: unknown): string[] {
  const [before, now] = [a, b].map((v) => (typeof v === "object" && v !== null ? (v as ModelIdentity) : {}));
  const names = new Set([...Object.keys(now!), ...Object.keys(before!)]);
  return [...names].filter((name) => shown(before![name]) !== shown(now![name]));
}

function shown(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}

/** A state as a file. */
export function encodeRunState({ done, slots, generator, shape, run }: RunState): Uint8Array<ArrayBuffer> {
  const bytes = (v: Float32Array) => new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
  return writeSafetensors(
    [
      ...[...slots].map(([slot, v]) => ({ name: `slot.${slot}`, dtype: "F32" as const, shape, data: bytes(v) })),
      { name: "generator", dtype: "U8", shape: [generator.length], data: generator },
    ],
    [
      ["kind", KIND],
      ["done", String(done)],
      ["run", JSON.stringify(run)],
    ],
  );
}

/** Reads a state. @throws ResumeError where the file is none */
export async function decodeRunState(source: ByteSource): Promise<RunState> {
  const file = await openSafetensors(source).catch((error: unknown) => {
    if (!(error instanceof CheckpointError)) throw error;
    throw new ResumeError(error.message, LEFT_BEHIND, { cause: error });
  });
  const done = Number(file.metadata.get("done"));
  if (file.metadata.get("kind") !== KIND || !Number.isInteger(done))
    throw new ResumeError(`${source.name} holds tensors, but not the state of a run`, LEFT_BEHIND);
  const slots = new Map<Slot, Float32Array>();
  for (const name of file.tensors.keys())
    if (name.startsWith("slot.")) slots.set(name.slice("slot.".length) as Slot, await file.readF32(name));
  return {
    done,
    slots,
    generator: await file.read("generator"),
    shape: file.info("slot.sample").shape as RunState["shape"],
    run: JSON.parse(file.metadata.get("run") ?? "{}") as RunState["run"],
  };
}

/** A value as JSON has it: keys in order, big integers as text, binary data as its hash. */
async function plain(value: unknown): Promise<unknown> {
  if (typeof value === "bigint") return String(value);
  if (ArrayBuffer.isView(value)) {
    return sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice());
  }
  if (Array.isArray(value)) return Promise.all(value.map(plain));
  if (typeof value !== "object" || value === null) return value;
  if (Object.getPrototypeOf(value) !== Object.prototype) return value.constructor.name; // a network: its file is named beside
  const entries = Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(await Promise.all(entries.map(async ([k, v]) => [k, await plain(v)] as const)));
}
