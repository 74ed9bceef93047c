// Byte sources: random access to a file's bytes wherever it lies, so that the readers above never know whether a checkpoint
// is in memory, a browser's File, on a web server or (node-file.ts) on a disk. Offsets are plain numbers: exact to 2^53.

import { CheckpointError, messageOf } from "./errors.js";

/** A file that can be read at any position. */
export interface ByteSource {
  /** What error messages call it: a path or an address. */
  readonly name: string;
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The result may be a view of memory that others see: it is not to be written to.
   * @throws CheckpointError where the range is outside the file or the file has changed since it was opened.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  close?(): Promise<void>;
}

/** @throws CheckpointError unless the range lies in the source. */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (
    !Number.isSafeInteger(offset) ||
    !Number.isSafeInteger(length) ||
    offset < 0 ||
    length < 0 ||
    offset > source.size - length
  )
    throw new CheckpointError(
      `${source.name}: bytes ${offset} to ${offset + length} were asked for, but the file has ${source.size}; it is damaged or was cut off: download it again`,
    );
}

/** Bytes in memory. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const data =
    bytes.buffer instanceof ArrayBuffer
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
  const source: ByteSource = {
    name,
    size: data.byteLength,
    async read(offset, length) {
      checkRange(source, offset, length);
      return data.subarray(offset, offset + length);
    },
  };
  return source;
}

/** A browser's File or Blob; only the ranges asked for are loaded. */
export function blobSource(blob: Blob, name?: string): ByteSource {
  const source: ByteSource = {
    name: name ?? ("name" in blob && typeof blob.name === "string" ? blob.name : "blob"),
    size: blob.size,
    async read(offset, length) {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      if (bytes.byteLength !== length)
        throw new CheckpointError(`${source.name}: the file changed while it was read; choose it again`);
      return bytes;
    },
  };
  return source;
}

/** A part of another source, addressed from 0. */
export function sliceSource(source: ByteSource, offset: number, length: number, name = source.name): ByteSource {
  checkRange(source, offset, length);
  const slice: ByteSource = {
    name,
    size: length,
    async read(at, count) {
      checkRange(slice, at, count);
      return source.read(offset + at, count);
    },
  };
  return slice;
}

export interface FetchOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Stands in for the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** Attempts per range before giving up (3). A refusal (4xx) is final. */
  readonly attempts?: number;
}

/**
 * A file on a web server, read by ranges. A server that knows no ranges is asked for the whole file once, which is then held
 * as a Blob.
 * @throws CheckpointError when the server refuses, cannot be reached, or the file changes between two reads.
 */
export async function fetchSource(url: string, options: FetchOptions = {}): Promise<ByteSource> {
  const request = options.fetch ?? fetch;
  const attempts = options.attempts ?? 3;
  const ask = async (first: number, last: number): Promise<Response> => {
    for (let attempt = 1; ; attempt++) {
      const final = attempt >= attempts;
      try {
        const response = await request(url, {
          headers: { ...options.headers, Range: `bytes=${first}-${last}` },
          ...(options.signal && { signal: options.signal }),
        });
        if (response.ok || response.status === 416 || (response.status < 500 && response.status !== 429) || final)
          return response;
        await response.body?.cancel();
      } catch (error) {
        options.signal?.throwIfAborted();
        if (final) throw new CheckpointError(`${url} cannot be reached: ${messageOf(error)}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    }
  };

  const first = await ask(0, 0);
  if (first.status === 416) return memorySource(url, new Uint8Array());
  if (!first.ok) throw new CheckpointError(`${url}: the server answered ${first.status} ${first.statusText}`.trimEnd());
  if (first.status !== 206) return blobSource(await first.blob(), url);
  const total = /\/(\d+)$/.exec(first.headers.get("content-range") ?? "");
  await first.body?.cancel();
  if (!total) {
    const whole = await request(url, {
      ...(options.headers && { headers: { ...options.headers } }),
      ...(options.signal && { signal: options.signal }),
    });
    if (!whole.ok)
      throw new CheckpointError(`${url}: the server answered ${whole.status} ${whole.statusText}`.trimEnd());
    return blobSource(await whole.blob(), url);
  }
  const tag = first.headers.get("etag");
  const source: ByteSource = {
    name: url,
    size: Number(total[1]),
    async read(offset, length) {
      checkRange(source, offset, length);
      if (length === 0) return new Uint8Array();
      const response = await ask(offset, offset + length - 1);
      if (response.status !== 206)
        throw new CheckpointError(`${url}: the server answered ${response.status} to bytes ${offset} and on`);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const range = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "");
      if (bytes.byteLength !== length || response.headers.get("etag") !== tag || (range && Number(range[1]) !== offset))
        throw new CheckpointError(`${url}: the file changed on the server while it was read; try again`);
      return bytes;
    },
  };
  return source;
}
