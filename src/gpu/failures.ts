// What goes wrong on a device and is not said by what was awaited: WebGPU reports losses, validation errors and a want of
// memory on the side. Here they become errors with the cure, and reach those who wait.

import { DeviceLostError, GPUValidationError, OutOfMemoryError } from "./errors.js";

/** After a loss, what fails by itself has so long to do so: it knows more. */
const GRACE_MS = 200;

/** The failures of one device. */
export class Failures {
  readonly #gpu: GPUDevice;
  #failure: Error | undefined;
  /** Losing the device is what its owner wants. */
  #disposed = false;
  /** Who waits for the device's work: to be told when it is lost. */
  readonly #waiting = new Set<(lost: Error) => void>();

  constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    void gpu.lost.then(async (info) => {
      if (this.#disposed) return;
      const lost = new DeviceLostError(
        `the GPU device was lost (${info.reason}): ${info.message || "no further information from the driver"}; start again, and if it recurs use a smaller size, fewer frames or --low-memory`,
      );
      this.#failure = lost;
      await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
      for (const fail of this.#waiting) fail(lost);
    });
    gpu.addEventListener("uncapturederror", (event) => {
      const { error } = event;
      event.preventDefault();
      this.#failure ??=
        error.constructor.name === "GPUOutOfMemoryError"
          ? new OutOfMemoryError(
              `out of GPU memory: ${error.message.replace(/\s*\n[^]*/, "").replace(/\.$/, "")}; --low-memory, --weights int8, fewer frames or a smaller size take less`,
            )
          : new GPUValidationError(error.message);
    });
  }

  /** The device is about to be destroyed. */
  dispose(): void {
    this.#disposed = true;
  }

  get isLost(): boolean {
    return this.#failure instanceof DeviceLostError;
  }

  /** Throws where the device is lost. */
  throwIfLost(): void {
    if (this.isLost) throw this.#failure!;
  }

  /** Throws what the device has reported: a loss for ever, any other error once. */
  check(): void {
    const failure = this.#failure;
    if (!failure) return;
    if (!(failure instanceof DeviceLostError)) this.#failure = undefined;
    throw failure;
  }

  /** Some promises of a lost device never settle (compilation is one): whoever waits for them is told all the same. */
  async unlessLost<R>(work: Promise<R>): Promise<R> {
    let fail: (lost: Error) => void = () => undefined;
    const lost = new Promise<never>((_, reject) => (fail = reject));
    this.#waiting.add(fail);
    try {
      return await Promise.race([work, lost]);
    } finally {
      this.#waiting.delete(fail);
    }
  }

  /**
   * What is awaited fails, now and then, before the device says why (lost, out of memory): that is what counts. `refusal`
   * tells of uploads for which there was no memory: everything that uses them is reported too.
   */
  async explain(error: unknown, refusal: () => Promise<OutOfMemoryError | undefined>): Promise<unknown> {
    if (error instanceof DeviceLostError) return error;
    await Promise.race([this.#gpu.lost, new Promise((resolve) => setTimeout(resolve, 20))]);
    const failure = this.#failure;
    if (failure instanceof DeviceLostError) return failure;
    this.#failure = undefined;
    const refused = await refusal();
    return error instanceof OutOfMemoryError ? error : (refused ?? failure ?? error);
  }
}
