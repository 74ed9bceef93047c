// In which part of a run's steps something acts.

/** Shares of the steps, 0 … 1. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Whether step `step` lies within the span, as diffusers counts: the whole step must. `counts`: the run's steps, by the
 * iterations in which they are counted anew.
 */
export function inSpan({ start, end }: Span, step: number, counts: readonly number[]): boolean {
  let [index, count] = [step, 1];
  for (const n of counts) {
    count = n;
    if (index < n) break;
    index -= n;
  }
  return index / count >= start && (index + 1) / count <= end;
}

/** @throws Error unless 0 ≤ start < end ≤ 1 and some step of `count` lies within */
export function checkSpan({ start, end }: Span, count: number, what: string): void {
  if (!(start >= 0 && end <= 1 && start < end))
    throw new Error(`${what} acts from ${start} to ${end}, expected 0 ≤ start < end ≤ 1`);
  if (!Array.from({ length: count }, (_, i) => i).some((i) => inSpan({ start, end }, i, [count])))
    throw new Error(
      `${what} acts from ${start} to ${end}, in which no whole step of ${count} lies: with ${count} steps, step i takes the part from i/${count} to (i+1)/${count}`,
    );
}
