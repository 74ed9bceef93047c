// Encodings of prompts kept from run to run: many clips share a prompt, or its negative one. Kept on the device, some most
// recently used ones; what a run encoded is kept only once it was executed and found finite.

import type { Tensor } from "../tensor/tensor.js";

/** Encoded prompts by everything they depend on. */
export class TextCache implements Disposable {
  readonly #limit: number;
  readonly #kept = new Map<string, Tensor>();

  /** Keeps the last `limit` encodings. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** For one run. */
  begin(): TextRun {
    return new TextRun(this);
  }

  /** A kept encoding; it stays the cache's. */
  find(key: string): Tensor | undefined {
    const found = this.#kept.get(key);
    if (found) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
    }
    return found;
  }

  /** Takes ownership. */
  keep(key: string, states: Tensor): void {
    this.#kept.get(key)?.dispose();
    this.#kept.delete(key);
    this.#kept.set(key, states);
    for (const [oldest, t] of this.#kept) {
      if (this.#kept.size <= this.#limit) break;
      t.dispose();
      this.#kept.delete(oldest);
    }
  }

  /** Forgets all: the encoder's weights have changed, or there are no more runs. */
  dispose(): void {
    for (const t of this.#kept.values()) t.dispose();
    this.#kept.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The encodings of one run: known ones, and new ones until they are known to be good. */
export class TextRun implements Disposable {
  readonly #cache: TextCache;
  readonly #new = new Map<string, Tensor>();

  constructor(cache: TextCache) {
    this.#cache = cache;
  }

  /** The encoding for `key`, recorded by `encode` where it is not known; it stays the cache's. */
  get(key: string, encode: () => Tensor): Tensor {
    const known = this.#cache.find(key) ?? this.#new.get(key);
    if (known) return known;
    const states = encode();
    states.device.untrack(states);
    this.#new.set(key, states);
    return states;
  }

  /** Keeps what is new: it was executed. */
  commit(): void {
    for (const [key, states] of this.#new) this.#cache.keep(key, states);
    this.#new.clear();
  }

  dispose(): void {
    for (const t of this.#new.values()) t.dispose();
    this.#new.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
