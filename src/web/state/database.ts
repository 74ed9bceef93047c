// The page's IndexedDB: one store of clips.

import type { Clip } from "./history.js";

/** A clip as it is stored. */
export interface StoredClip extends Omit<Clip, "strip"> {
  readonly strip: Blob;
  /** RGBA of all frames, deflated. */
  readonly packed: Blob;
}

let opened: Promise<IDBDatabase> | undefined;

export function database(): Promise<IDBDatabase> {
  return (opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("kineograph", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("clips", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB cannot be opened"));
  }));
}

/** What a request gives, once its transaction is safe. */
export function done<R>(request: IDBRequest): Promise<R> {
  return new Promise((resolve, reject) => {
    const { transaction } = request;
    if (!transaction) return reject(new Error("the request belongs to no transaction"));
    transaction.oncomplete = () => resolve(request.result as R);
    transaction.onabort = () => reject(transaction.error ?? new Error("the browser gave up storing"));
    transaction.onerror = () => reject(transaction.error ?? new Error("the browser could not store"));
  });
}
