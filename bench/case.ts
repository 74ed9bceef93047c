// What a microbenchmark is: a named operation at a real layer shape, set up once, checked, then timed.

import type { Device } from "../src/gpu/device.js";
import type { Tensor } from "../src/tensor/tensor.js";

/** An operation ready to be run again and again. */
export interface PreparedBench {
  /** Records the operation once. Its result is freed by the caller's scope. */
  run(): Tensor;
  /** The same values by the plain kernel or on the host, to check `run` before it is timed. */
  expected(): Promise<ArrayLike<number>>;
  /** Which of the values of `run` are those of `expected`; default all. */
  sample?(values: Float32Array): ArrayLike<number>;
  /** What `ready` does, on a device that executes nothing. */
  pretend?(): void;
  /** Waits for what `setup` could not do at once: loading weights. */
  ready?(): Promise<void>;
  /** Frees what the scope of `setup` does not hold. */
  dispose?(): void;
  /** Arithmetic of one run, and the bytes it must move at least. */
  readonly flops: number;
  readonly bytes: number;
  /** Allowed relative L2 distance between `run` and `expected`. */
  readonly tolerance: number;
}

/** A microbenchmark; names as in `kineograph bench --help`. */
export interface BenchCase {
  readonly name: string;
  /** Allocates operands on `device`; called inside a scope that outlives the runs. */
  setup(device: Device, dtype: "f32" | "f16"): PreparedBench;
}
