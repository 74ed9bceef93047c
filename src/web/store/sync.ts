// Files of the Origin Private File System written in place, as workers may; and the checksums of what is in them.

/** Workers' synchronous access, which every browser with OPFS has; the DOM's types do not know it. */
export interface SyncHandle {
  write(data: Uint8Array, options: { readonly at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** @throws DOMException named NoModificationAllowedError while the file is open elsewhere */
export function openSync(file: FileSystemFileHandle): Promise<SyncHandle> {
  return (file as unknown as { createSyncAccessHandle(): Promise<SyncHandle> }).createSyncAccessHandle();
}

/** Opens a file for the length of `body`. */
export async function withHandle(
  file: FileSystemFileHandle,
  body: (handle: SyncHandle) => Promise<void> | void,
): Promise<void> {
  const handle = await openSync(file);
  try {
    await body(handle);
  } finally {
    handle.close();
  }
}

/** Writes all of `data`. @throws DOMException named QuotaExceededError where the disk takes less */
export function writeAll(handle: SyncHandle, data: Uint8Array, at: number): void {
  if (handle.write(data, { at }) !== data.length)
    throw new DOMException("the disk took less than it was given", "QuotaExceededError");
}

/** The text of a file; "" where there is none. */
export async function readText(folder: FileSystemDirectoryHandle, name: string): Promise<string> {
  try {
    return await (await (await folder.getFileHandle(name)).getFile()).text();
  } catch {
    return "";
  }
}

/** Makes `text` the content of a file. */
export async function replaceText(folder: FileSystemDirectoryHandle, name: string, text: string): Promise<void> {
  await withHandle(await folder.getFileHandle(name, { create: true }), (handle) => {
    handle.truncate(0);
    writeAll(handle, new TextEncoder().encode(text), 0);
    handle.flush();
  });
}

/** sha256 in hexadecimal. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return hexadecimal(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
}

export function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
