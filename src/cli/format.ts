// Numbers as people read them.

/** 1536 → "1.5 KiB" */
export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(n) / 10));
  const value = n / 1024 ** power;
  return `${value.toFixed(value < 9.95 ? 2 : value < 99.5 ? 1 : 0)} ${units[power - 1]}`;
}

/** 0.0123 → "12 ms", 3.21 → "3.2 s", 83 → "1 min 23 s" */
export function seconds(s: number): string {
  if (s < 0.995) return `${(s * 1000).toFixed(0)} ms`;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Seconds since `performance.now()` was `start`. */
export function elapsed(start: number): number {
  return (performance.now() - start) / 1000;
}

/** "1.5 GiB of 4.0 GiB, about 12 s left", from bytes and the milliseconds since `first` of them; no guess before a second is over. */
export function transfer(done: number, total: number, since: number, first = 0): string {
  const ms = performance.now() - since;
  const rate = (done - first) / ms;
  const left = ms > 1000 && rate > 0 && done < total ? `, about ${seconds((total - done) / rate / 1000)} left` : "";
  return `${bytes(done)} of ${bytes(total)}${left}`;
}

/** 857500000 → "857.5 M"; decimal units, for counts and rates. */
export function count(n: number): string {
  if (n < 1e4) return String(Math.round(n));
  const units = ["k", "M", "G", "T", "P", "E"];
  const power = Math.min(units.length, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  return `${value.toFixed(value < 99.95 ? 2 : 1)} ${units[power - 1]}`;
}

/** Rows as columns of equal width: the first left-aligned, the others as `right` says. */
export function table(rows: readonly (readonly string[])[], right: readonly boolean[] = []): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((r) => r[c]?.length ?? 0)));
  return rows
    .map((r) =>
      r
        .map((cell, c) => (right[c] ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
