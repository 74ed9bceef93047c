// Discrete Fourier transforms on the host, in double precision, of any size: each prime factor of it is one level of
// Cooley and Tukey's recursion. For latents, which are small.

/** Complex values in two arrays. */
export interface Complex {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/**
 * The transform of `x [shape]` over all dimensions, in place; torch.fft.fftn, or with `inverse` torch.fft.ifftn (which
 * divides by the size).
 */
export function fftn(x: Complex, shape: readonly number[], inverse = false): void {
  const size = shape.reduce((a, b) => a * b, 1);
  let stride = size;
  for (const n of shape) {
    stride /= n;
    const line: Complex = { re: new Float64Array(n), im: new Float64Array(n) };
    for (let outer = 0; outer < size; outer += n * stride)
      for (let inner = outer; inner < outer + stride; inner++) {
        for (let i = 0; i < n; i++) {
          line.re[i] = x.re[inner + i * stride]!;
          line.im[i] = x.im[inner + i * stride]!;
        }
        const y = transform(line, inverse ? 1 : -1);
        for (let i = 0; i < n; i++) {
          x.re[inner + i * stride] = y.re[i]!;
          x.im[inner + i * stride] = y.im[i]!;
        }
      }
  }
  if (!inverse) return;
  for (let i = 0; i < size; i++) {
    x.re[i]! /= size;
    x.im[i]! /= size;
  }
}

/** Σ x[k] · exp(sign · 2πi · jk / n) for every j. */
function transform(x: Complex, sign: 1 | -1): Complex {
  const n = x.re.length;
  if (n === 1) return x;
  const p = smallestFactor(n);
  const m = n / p;
  const parts = Array.from({ length: p }, (_, r) => transform(every(x, p, r), sign));
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  for (let j = 0; j < n; j++)
    for (let r = 0; r < p; r++) {
      // r·j mod n keeps the angle small and so exact.
      const angle = (sign * 2 * Math.PI * ((r * j) % n)) / n;
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      const [a, b] = [parts[r]!.re[j % m]!, parts[r]!.im[j % m]!];
      re[j]! += a * c - b * s;
      im[j]! += a * s + b * c;
    }
  return { re, im };
}

/** x[r], x[r + p], x[r + 2p] … */
function every({ re, im }: Complex, p: number, r: number): Complex {
  const m = re.length / p;
  const y = { re: new Float64Array(m), im: new Float64Array(m) };
  for (let i = 0; i < m; i++) {
    y.re[i] = re[i * p + r]!;
    y.im[i] = im[i * p + r]!;
  }
  return y;
}

function smallestFactor(n: number): number {
  for (let p = 2; p * p <= n; p++) if (n % p === 0) return p;
  return n;
}
