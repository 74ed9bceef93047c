// Who writes which model: a lock for each import, held by its worker in whatever tab that is.

/** Held while a model is written. */
export function lockOf(id: string): string {
  return `kineograph import ${id}`;
}

/** Resolves when nobody writes a model. */
export async function released(id: string): Promise<void> {
  await navigator.locks.request(lockOf(id), { mode: "shared" }, () => undefined);
}
