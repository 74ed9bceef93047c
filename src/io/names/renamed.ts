// A checkpoint under other names: the same bytes, a table from the new names to the stored ones.

import { CheckpointError, quoted } from "../errors.js";
import type { WeightEntry, WeightFile } from "../weight-files.js";

/** Where a renamed tensor comes from; `shape` where it is seen with another (same number of elements). */
export interface Origin {
  readonly from: string;
  readonly shape?: readonly number[];
}

/** New name → origin. */
export type NameTable = ReadonlyMap<string, Origin>;

/**
 * `file` seen through a table; tensors that the table does not name are hidden. Entries stay in file order. Closing the view
 * closes the file.
 * @throws CheckpointError when the table names what the file lacks
 */
export function renameWeights(
  file: WeightFile,
  table: NameTable,
  name = file.name,
  notes: readonly string[] = [],
): WeightFile {
  const names = new Map<string, string[]>();
  for (const [to, { from }] of table) {
    if (!file.has(from)) throw new CheckpointError(`${file.name} has no tensor ${quoted(from)}`);
    names.set(from, [...(names.get(from) ?? []), to]);
  }
  const entryOf = (to: string): WeightEntry => {
    const origin = table.get(to);
    if (!origin) throw new CheckpointError(`${name} has no tensor ${quoted(to)}`);
    const { shape, dtype } = file.entry(origin.from);
    return { name: to, shape: origin.shape ?? shape, dtype };
  };
  const from = (to: string): string => {
    entryOf(to);
    return table.get(to)!.from;
  };
  return {
    name,
    format: file.format,
    metadata: file.metadata,
    notes: [...file.notes, ...notes],
    *entries() {
      for (const e of file.entries()) for (const to of names.get(e.name) ?? []) yield entryOf(to);
    },
    has: (to) => table.has(to),
    entry: entryOf,
    read: async (to, as) => file.read(from(to), as),
    chunks: (to, as, limit) => file.chunks(from(to), as, limit),
    close: () => file.close(),
  };
}

/** A table that only removes a prefix; names without it are left out. */
export function withoutPrefix(names: Iterable<string>, prefix: string): Map<string, Origin> {
  const table = new Map<string, Origin>();
  for (const from of names) if (from.startsWith(prefix)) table.set(from.slice(prefix.length), { from });
  return table;
}

/** Replaces the first of `pairs` whose left side begins `text`; undefined where none does. */
export function swapHead(text: string, pairs: readonly (readonly [string, string])[]): string | undefined {
  for (const [a, b] of pairs) if (text.startsWith(a)) return b + text.slice(a.length);
  return undefined;
}

/** The pairs read from right to left. */
export function backwards(pairs: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  return pairs.map(([a, b]) => [b, a]);
}
