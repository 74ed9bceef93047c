// Zip archives as torch.save writes them: entries stored, not compressed, so that each is a range of the file read in place.
// Zip64 for archives beyond 4 GB. Source: PKWARE APPNOTE.TXT 6.3, sections 4.3 and 4.5.3.

import { sliceSource, type ByteSource } from "./byte-source.js";
import { CheckpointError, quoted } from "./errors.js";

/** One entry of the central directory. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly compressed: boolean;
  readonly encrypted: boolean;
  /** Where its local header begins. */
  readonly headerAt: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
/** The end record and the longest comment that may follow it. */
const MAX_TAIL = 22 + 0xffff;
const MAX_DIRECTORY = 64 * 2 ** 20;

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u64(v: DataView, at: number): number {
  const n = v.getBigUint64(at, true);
  return n > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(n);
}

/**
 * The entries of a zip archive, by name.
 * @throws CheckpointError when its directory is missing, cut off, inconsistent, or names something twice
 */
export async function readZip(source: ByteSource): Promise<ReadonlyMap<string, ZipEntry>> {
  const damaged = (what: string) =>
    new CheckpointError(`${source.name}: its zip directory ${what}; the file is cut off or damaged: download it again`);
  const tailAt = Math.max(0, source.size - MAX_TAIL);
  const tail = view(await source.read(tailAt, source.size - tailAt));
  let end = tail.byteLength - 22;
  while (
    end >= 0 &&
    !(tail.getUint32(end, true) === END && end + 22 + tail.getUint16(end + 20, true) <= tail.byteLength)
  )
    end--;
  if (end < 0) throw damaged("is missing");
  let count = tail.getUint16(end + 10, true);
  let size = tail.getUint32(end + 12, true);
  let at = tail.getUint32(end + 16, true);
  let limit = tailAt + end;
  if (end >= 20 && tail.getUint32(end - 20, true) === END64_LOCATOR) {
    const end64At = u64(tail, end - 12);
    if (end64At > source.size - 56) throw damaged("lies outside the file");
    const end64 = view(await source.read(end64At, 56));
    if (end64.getUint32(0, true) !== END64) throw damaged("has no 64-bit record");
    count = u64(end64, 32);
    size = u64(end64, 40);
    at = u64(end64, 48);
    limit = end64At;
  }
  if (at > limit || size > limit - at) throw damaged("lies outside the file");
  if (size > MAX_DIRECTORY) throw damaged(`claims ${size} bytes`);
  if (count > size / 46) throw damaged(`claims ${count} entries`);

  const directory = await source.read(at, size);
  const v = view(directory);
  const entries = new Map<string, ZipEntry>();
  const utf8 = new TextDecoder();
  for (let i = 0, p = 0; i < count; i++) {
    if (p + 46 > size || v.getUint32(p, true) !== CENTRAL) throw damaged("is shorter than it claims");
    const nameLength = v.getUint16(p + 28, true);
    const extraLength = v.getUint16(p + 30, true);
    const commentLength = v.getUint16(p + 32, true);
    const next = p + 46 + nameLength + extraLength + commentLength;
    if (next > size) throw damaged("is shorter than it claims");
    const name = utf8.decode(directory.subarray(p + 46, p + 46 + nameLength));
    const extra = v.byteOffset + p + 46 + nameLength;
    const wide = wideFields(new DataView(v.buffer, extra, extraLength));
    const pick = (offset: number): number => {
      const n = v.getUint32(p + offset, true);
      return n === 0xffffffff ? (wide.shift() ?? n) : n;
    };
    // The order of the fields in the Zip64 extra: size, compressed size, position.
    const entrySize = pick(24);
    const stored = pick(20);
    const headerAt = pick(42);
    if (headerAt > at || stored > at - headerAt) throw damaged(`places ${quoted(name)} outside the file`);
    if (entries.has(name)) throw damaged(`has ${quoted(name)} twice`);
    const method = v.getUint16(p + 10, true);
    if (method === 0 && stored !== entrySize) throw damaged(`gives ${quoted(name)} two sizes`);
    entries.set(name, {
      name,
      size: entrySize,
      compressed: method !== 0,
      encrypted: (v.getUint16(p + 8, true) & 1) !== 0,
      headerAt,
    });
    p = next;
  }
  return entries;
}

/** The 64-bit fields of an entry's extra data, in order. */
function wideFields(extra: DataView): number[] {
  for (let p = 0; p + 4 <= extra.byteLength;) {
    const length = extra.getUint16(p + 2, true);
    if (p + 4 + length > extra.byteLength) break;
    if (extra.getUint16(p, true) === 1)
      return Array.from({ length: Math.min(3, Math.floor(length / 8)) }, (_, i) => u64(extra, p + 4 + 8 * i));
    p += 4 + length;
  }
  return [];
}

/**
 * A stored entry as a source of its own.
 * @throws CheckpointError when it is compressed or encrypted, or its header is not where the directory says
 */
export async function openZipEntry(source: ByteSource, entry: ZipEntry): Promise<ByteSource> {
  const what = `${source.name}: its entry ${quoted(entry.name)}`;
  if (entry.encrypted) throw new CheckpointError(`${what} is encrypted; torch.save encrypts nothing`);
  if (entry.compressed)
    throw new CheckpointError(
      `${what} is compressed, which torch.save does not do; load it with PyTorch and save it again`,
    );
  if (entry.headerAt > source.size - 30) throw new CheckpointError(`${what} lies outside the file`);
  const header = view(await source.read(entry.headerAt, 30));
  const at = entry.headerAt + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (header.getUint32(0, true) !== LOCAL || at > source.size - entry.size)
    throw new CheckpointError(`${what} is not where the directory says; the file is damaged: download it again`);
  return sliceSource(source, at, entry.size, `${source.name}: ${entry.name}`);
}
