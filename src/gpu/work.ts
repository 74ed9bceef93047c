// What a device can be told to do, as plain records: they can be run, replayed, counted and profiled.

import type { PoolBuffer } from "./pool.js";

/** A range of a buffer, in bytes; `offset` is a multiple of the adapter's alignment. */
export interface Binding {
  readonly buffer: PoolBuffer;
  readonly offset: number;
  readonly size: number;
}

/** One run of one compute shader. */
export interface Dispatch {
  readonly kind: "dispatch";
  /** Kernel and purpose: "conv2d down_blocks.0.resnets.0.conv1". The first word groups the profile. */
  readonly label: string;
  /** The specialised WGSL module with entry point `main`: the pipeline's identity. */
  readonly code: string;
  /** Storage buffers at `@binding(1)`, `@binding(2)`, … */
  readonly bindings: readonly Binding[];
  /** The uniform block at `@binding(0)`: 32-bit words (floats by `f32Bits`). */
  readonly params: readonly number[];
  readonly workgroups: readonly [number, number, number];
  /** Arithmetic and memory traffic of this dispatch, for the roofline. */
  readonly flops: number;
  readonly bytes: number;
}

/** Host bytes into a buffer, in order with the dispatches around it. */
export interface Upload {
  readonly kind: "upload";
  readonly buffer: PoolBuffer;
  readonly offset: number;
  readonly data: Uint8Array;
  /**
   * Who recorded it takes it for done from then on, whatever becomes of the run that it was recorded in: where that is given
   * up, it is done before whatever runs next, if this still says so.
   */
  readonly stays?: () => boolean;
}

/**
 * Bytes of a buffer to the host. `data` is filled when the work has run; an upload of it that is recorded later carries
 * what came.
 */
export interface Download {
  readonly kind: "download";
  readonly from: Binding;
  readonly data: Uint8Array;
}

/** Bytes from one buffer to another. */
export interface Copy {
  readonly kind: "copy";
  readonly from: Binding;
  readonly to: Binding;
}

/** Work that was recorded to run again, with the buffers it needs set apart. Dispose it when it will not. */
export interface Recording extends Disposable {
  readonly work: readonly (Dispatch | Upload | Download | Copy)[];
  dispose(): void;
}

/** A recording, once more. */
export interface Replay {
  readonly kind: "replay";
  readonly recording: Recording;
}

export type Work = Dispatch | Upload | Download | Copy | Replay;

/** Every buffer that work reads or writes. */
export function* buffersOf(work: readonly Work[]): Iterable<PoolBuffer> {
  for (const w of work) {
    if (w.kind === "dispatch") for (const b of w.bindings) yield b.buffer;
    else if (w.kind === "upload") yield w.buffer;
    else if (w.kind === "download") yield w.from.buffer;
    else if (w.kind === "copy") yield* [w.from.buffer, w.to.buffer];
    else yield* buffersOf(w.recording.work);
  }
}

/** Totals over everything recorded. */
export interface Counts {
  dispatches: number;
  flops: number;
  bytes: number;
  /** Host memory that recorded work downloads to. */
  hostBytes: number;
  /** Distinct shader texts. */
  readonly codes: Set<string>;
}
