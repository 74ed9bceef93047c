// Comparison of arrays of floats, with a message that says where and by how much they differ.

/** Relative L2 distance ‖a − b‖ / ‖b‖; NaN or infinite where either side has such values. */
export function relativeL2(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  let error = 0;
  let norm = 0;
  for (let i = 0; i < a.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return norm === 0 ? (error === 0 ? 0 : Infinity) : Math.sqrt(error / norm);
}

/**
 * Rounding noise to expect of a sum of `n` products in f32, relative to the result's norm: 1e-5 · √n / 8, at least 2e-6
 * (a few units in the last place for the operations around the sum).
 */
export function f32Tolerance(n: number): number {
  return Math.max(2e-6, (1e-5 * Math.sqrt(n)) / 8);
}

/** Storage in f16 rounds inputs and result to 2^-11 each. */
export const F16_TOLERANCE = 2e-3;

/** @throws Error unless ‖actual − expected‖ ≤ tolerance · ‖expected‖ and no single value is off by 50 times that. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  if (actual.length !== expected.length) throw new Error(`expected ${expected.length} values, got ${actual.length}`);
  const l2 = relativeL2(actual, expected);
  const rms = Math.sqrt(Array.from(expected).reduce((s, v) => s + v * v, 0) / Math.max(1, expected.length));
  let worst = -1;
  let at = 0;
  for (let i = 0; i < actual.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(d) || d > worst) {
      worst = d;
      at = i;
      if (Number.isNaN(d)) break;
    }
  }
  if (!(l2 <= tolerance) || !(worst <= 50 * tolerance * Math.max(rms, Number.MIN_VALUE) || worst === 0))
    throw new Error(
      `relative L2 error ${l2.toExponential(2)} (allowed ${tolerance.toExponential(2)}); worst at ${at}: got ${actual[at]}, expected ${expected[at]}`,
    );
}
