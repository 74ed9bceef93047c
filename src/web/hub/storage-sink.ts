// Where a download lies in the browser's storage while it is under way.

import { sha256 as sha256InParts } from "@noble/hashes/sha2.js";
import type { Sink, Writer } from "../../io/download.js";
import { CHUNK } from "../store/read.js";
import { hexadecimal, openSync, sha256, writeAll } from "../store/sync.js";

export class StorageSink implements Sink {
  readonly #handle: FileSystemFileHandle;
  readonly #signal: AbortSignal;
  readonly #onChecked: (bytes: number) => void;
  #chunks: string[] = [];

  /** `onChecked` is told how far a checksum is. */
  constructor(handle: FileSystemFileHandle, signal: AbortSignal, onChecked: (bytes: number) => void) {
    this.#handle = handle;
    this.#signal = signal;
    this.#onChecked = onChecked;
  }

  /** After a checksum: those of the store's chunks. */
  get chunks(): readonly string[] {
    return this.#chunks;
  }

  async size(): Promise<number> {
    return (await this.#handle.getFile()).size;
  }

  async open(anew: boolean): Promise<Writer> {
    const open = await openSync(this.#handle);
    if (anew) open.truncate(0);
    return {
      write: async (bytes, at) => writeAll(open, bytes, at),
      close: async () => {
        open.flush();
        open.close();
      },
    };
  }

  async checksum(git: boolean): Promise<string> {
    const file = await this.#handle.getFile();
    const whole = sha256InParts.create(); // the browser's own digest wants a file whole in memory
    this.#chunks = [];
    for (let at = 0; at < file.size; at += CHUNK) {
      this.#signal.throwIfAborted();
      const data = new Uint8Array(await file.slice(at, at + CHUNK).arrayBuffer());
      if (!git) whole.update(data);
      this.#chunks.push(await sha256(data));
      this.#onChecked(at + data.length);
    }
    if (!git) return hexadecimal(whole.digest());
    // Large files have a sha256; git's own checksum is that of small ones.
    const blob = await new Blob([`blob ${file.size}\0`, file]).arrayBuffer();
    return hexadecimal(new Uint8Array(await crypto.subtle.digest("SHA-1", blob)));
  }

  async remove(): Promise<void> {
    const open = await openSync(this.#handle);
    open.truncate(0);
    open.close();
  }
}
