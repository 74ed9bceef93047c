// A writer of stored zip archives for the tests, with 64-bit fields where asked for.

import { crc32, joinBytes } from "../../src/io/png.js";

export interface EntryToZip {
  readonly name: string;
  readonly data: Uint8Array | string;
  readonly method?: number;
  readonly flags?: number;
}

/** Little-endian fields, each [value, bytes]. */
function fields(...list: readonly (readonly [number, number])[]): Uint8Array {
  return new Uint8Array(
    list.flatMap(([n, bytes]) => Array.from({ length: bytes }, (_, i) => Math.floor(n / 2 ** (8 * i)) % 256)),
  );
}

export function writeZip(entries: readonly EntryToZip[], zip64 = false): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const body: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const { name: text, data: content, method = 0, flags = 0 } of entries) {
    const name = encoder.encode(text);
    const data = typeof content === "string" ? encoder.encode(content) : content;
    const crc = crc32(data);
    const [n, size] = [name.length, data.length];
    // An extra field of padding, as torch.save aligns its storages with.
    const padding = new Uint8Array([0x46, 0x42, 1, 0, 0x5a]);
    const local = fields(
      [0x04034b50, 4],
      [20, 2],
      [flags, 2],
      [method, 2],
      [0, 4],
      [crc, 4],
      [size, 4],
      [size, 4],
      [n, 2],
      [5, 2],
    );
    body.push(local, name, padding, data);
    const shown = (v: number): readonly [number, number] => [zip64 ? 0xffffffff : v, 4];
    directory.push(
      fields([0x02014b50, 4], [45, 2], [45, 2], [flags, 2], [method, 2], [0, 4], [crc, 4], shown(size), shown(size)),
      fields([n, 2], [zip64 ? 28 : 0, 2], [0, 2], [0, 2], [0, 2], [0, 4], shown(at)),
      name,
      zip64 ? fields([1, 2], [24, 2], [size, 8], [size, 8], [at, 8]) : new Uint8Array(),
    );
    at += local.length + n + 5 + size;
  }
  const size = directory.reduce((n, p) => n + p.length, 0);
  const count = entries.length;
  const end64 = [
    fields([0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4], [count, 8], [count, 8], [size, 8], [at, 8]),
    fields([0x07064b50, 4], [0, 4], [at + size, 8], [1, 4]),
  ];
  const cap = (n: number, bytes: number): readonly [number, number] => [zip64 ? 2 ** (8 * bytes) - 1 : n, bytes];
  const end = fields([0x06054b50, 4], [0, 4], cap(count, 2), cap(count, 2), cap(size, 4), cap(at, 4), [0, 2]);
  return joinBytes([...body, ...directory, ...(zip64 ? end64 : []), end]);
}
