// How much room the browser has for the page.

import { CheckpointError } from "../../io/errors.js";

export async function room(): Promise<{ readonly usedBytes: number; readonly freeBytes: number }> {
  const { usage: used = 0, quota = 0 } = await navigator.storage.estimate();
  return { usedBytes: used, freeBytes: Math.max(0, quota - used) };
}

/** @throws CheckpointError where `bytes` more do not fit */
export async function checkRoom(name: string, bytes: number): Promise<void> {
  const { freeBytes } = await room();
  if (bytes > freeBytes)
    throw new CheckpointError(
      `${name} takes ${gigabytes(bytes)}, but this browser has ${gigabytes(freeBytes)} left for the page; delete stored models, or free disk space`,
    );
}

/** What to say where the browser ran out of room on the way. */
export function noRoom(name: string, bytes: number, cause: unknown): CheckpointError {
  return new CheckpointError(
    `the browser's storage is full: ${name} takes ${gigabytes(bytes)}; delete stored models, or free disk space`,
    { cause },
  );
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
