// A blue-noise threshold map by void-and-cluster (R. Ulichney, 1993, "The void-and-cluster method for dither array
// generation"): every threshold lies far from its neighbours in rank, so dithering shows neither pattern nor clumps.

const SIZE = 32;
const SIGMA = 1.5;

let map: Float32Array | undefined;

/** Side of the square map, which tiles. */
export const BLUE_NOISE_SIZE = SIZE;

/** 32 × 32 thresholds, evenly spread over (−0.5, 0.5). The same on every machine. */
export function blueNoise(): Float32Array {
  if (map) return map;
  const n = SIZE * SIZE;
  // Influence of a point on the torus, by displacement.
  const weight = Float64Array.from({ length: n }, (_, i) => {
    const x = Math.min(i % SIZE, SIZE - (i % SIZE));
    const y = Math.min(Math.floor(i / SIZE), SIZE - Math.floor(i / SIZE));
    return Math.exp(-(x * x + y * y) / (2 * SIGMA * SIGMA));
  });
  const on = new Uint8Array(n);
  const energy = new Float64Array(n);
  const toggle = (p: number) => {
    const sign = on[p] ? -1 : 1;
    on[p] = on[p] ? 0 : 1;
    const [px, py] = [p % SIZE, Math.floor(p / SIZE)];
    for (let q = 0; q < n; q++) {
      const dx = (q - px + SIZE) % SIZE;
      const dy = (Math.floor(q / SIZE) - py + SIZE) % SIZE;
      energy[q]! += sign * weight[dy * SIZE + dx]!;
    }
  };
  /** The set point with the most company, or the free one with the least. */
  const extreme = (set: 0 | 1): number => {
    let best = -1;
    for (let q = 0; q < n; q++)
      if (on[q] === set && (best < 0 || (set === 1 ? energy[q]! > energy[best]! : energy[q]! < energy[best]!)))
        best = q;
    return best;
  };
  // A tenth of the points to begin with, scattered by a multiplicative walk and then evened out.
  const initial = Math.floor(n / 10);
  for (let i = 0, p = 17; i < initial; i++, p = (p * 421 + 211) % n) {
    while (on[p]) p = (p + 1) % n;
    toggle(p);
  }
  for (;;) {
    const cluster = extreme(1);
    toggle(cluster);
    const hole = extreme(0);
    toggle(hole);
    if (hole === cluster) break;
  }
  const rank = new Float32Array(n);
  const prototype = on.slice();
  for (let r = initial - 1; r >= 0; r--) {
    const p = extreme(1);
    toggle(p);
    rank[p] = r;
  }
  for (let p = 0; p < n; p++) if (prototype[p]) toggle(p);
  for (let r = initial; r < n; r++) {
    const p = extreme(0);
    toggle(p);
    rank[p] = r;
  }
  return (map = rank.map((r) => (r + 0.5) / n - 0.5));
}
