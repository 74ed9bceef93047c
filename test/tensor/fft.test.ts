import { expect, it } from "vitest";
import { fftn } from "../../src/tensor/fft.js";

/** Σ x[k] · exp(∓2πi Σ j·k / n), straight from the definition. */
function definition(re: readonly number[], shape: readonly number[]): { re: number[]; im: number[] } {
  const places = re.map((_, i) => {
    let rest = i;
    return shape.map((_n, d) => {
      const stride = shape.slice(d + 1).reduce((a, b) => a * b, 1);
      const at = Math.floor(rest / stride);
      rest %= stride;
      return at;
    });
  });
  const sums = places.map((j) => {
    let [a, b] = [0, 0];
    for (const [i, k] of places.entries()) {
      const angle = -2 * Math.PI * shape.reduce((s, n, d) => s + (j[d]! * k[d]!) / n, 0);
      a += re[i]! * Math.cos(angle);
      b += re[i]! * Math.sin(angle);
    }
    return [a, b] as const;
  });
  return { re: sums.map(([a]) => a), im: sums.map(([, b]) => b) };
}

it.each([[[8]], [[1, 7]], [[5, 6, 4]], [[3, 2, 11]], [[12, 9]]])(
  "is the transform of its definition, and back: %j",
  (shape) => {
    const size = shape.reduce((a, b) => a * b);
    const values = Array.from({ length: size }, (_, i) => Math.sin(i * i));
    const x = { re: Float64Array.from(values), im: new Float64Array(size) };
    fftn(x, shape);
    const expected = definition(values, shape);
    for (let i = 0; i < size; i++) {
      expect(x.re[i]).toBeCloseTo(expected.re[i]!, 10);
      expect(x.im[i]).toBeCloseTo(expected.im[i]!, 10);
    }
    fftn(x, shape, true);
    for (let i = 0; i < size; i++) {
      expect(x.re[i]).toBeCloseTo(values[i]!, 12);
      expect(x.im[i]).toBeCloseTo(0, 12);
    }
  },
);
