// Memory planned before it is allocated: given when each buffer of a recording is born and dies, which of them can share.

/** One buffer's life, in allocation and release events. */
export interface Lifetime {
  readonly bytes: number;
  readonly start: number;
  /** The event of its release; Infinity where it outlives the recording. */
  end: number;
}

/** Which buffer each life takes place in, and the buffers' sizes. */
export interface Assignment {
  readonly buffer: readonly number[];
  readonly sizes: readonly number[];
}

/**
 * Assigns lives to as little memory as a greedy pass finds: largest first, each into the smallest buffer whose other lives
 * it does not meet (Pisarchyk and Lee 2020, "greedy by size"); of equal sizes the longest lives first, which leaves the
 * short ones to fill the gaps. Whole buffers are shared, never parts of them: WebGPU forbids a dispatch to read and write
 * different parts of one buffer.
 */
export function assignBuffers(lives: readonly Lifetime[]): Assignment {
  const buffer: number[] = Array.from({ length: lives.length }, () => -1);
  const sizes: number[] = [];
  const tenants: Lifetime[][] = [];
  const length = ({ start, end }: Lifetime) => Math.min(end, Number.MAX_SAFE_INTEGER) - start;
  const order = lives
    .map((_, i) => i)
    .toSorted((a, b) => lives[b]!.bytes - lives[a]!.bytes || length(lives[b]!) - length(lives[a]!));
  for (const i of order) {
    const life = lives[i]!;
    // Buffers were opened largest first: the last that is free is the smallest.
    const home = tenants.findLastIndex((others) => others.every((o) => o.end < life.start || life.end < o.start));
    if (home >= 0) {
      tenants[home]!.push(life);
      buffer[i] = home;
    } else {
      buffer[i] = tenants.push([life]) - 1;
      sizes.push(life.bytes);
    }
  }
  return { buffer, sizes };
}
