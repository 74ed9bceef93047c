// Errors of the GPU layer. Each message names the thing, what was expected and the cure.

/** The device went away (driver reset, unplugged, out of memory on some drivers). Nothing on it can be used any more. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
}

/** An allocation that the adapter refused, or that its limits forbid. */
export class OutOfMemoryError extends Error {
  override readonly name = "OutOfMemoryError";
}

/** WebGPU refused a shader, a binding or a command: always a defect of this library, never of its input. */
export class GPUValidationError extends Error {
  override readonly name = "GPUValidationError";
}
