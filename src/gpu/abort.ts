// Waiting that an AbortSignal cuts short.

/** Listens to a signal until it is disposed. */
export class Abort implements Disposable {
  readonly #signal: AbortSignal | undefined;
  readonly #aborted: Promise<never> | undefined;
  #listener = () => {};

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (!signal) return;
    this.#aborted = new Promise((_, reject) => {
      this.#listener = () => reject(signal.reason as Error);
    });
    this.#aborted.catch(() => undefined);
    signal.addEventListener("abort", this.#listener);
  }

  /** `work`, or the signal's reason as soon as it is aborted. */
  or<T>(work: Promise<T>): Promise<T> {
    return this.#aborted ? Promise.race([work, this.#aborted]) : work;
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#listener);
  }
}
