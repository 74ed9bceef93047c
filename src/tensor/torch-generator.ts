/**
 * The random numbers of `torch.Generator("cpu")`, so that a seed gives here the noise it gives in PyTorch.
 *
 * The generator is MT19937. Sixteen and more f32 normals are Box–Muller pairs over blocks of sixteen uniforms, with the
 * polynomial log and sincos of torch's AVX2 build, fused multiply-adds included; fewer than sixteen go through doubles
 * and keep the sine half for the next call. Sources of these facts: ATen's MT19937RNGEngine.h, DistributionTemplates.h,
 * DistributionsHelper.h and avx_mathfun.h (the Cephes polynomials).
 */

const N = 624;
const M = 397;
const TWO_PI_F32 = Math.fround(2 * Math.PI);
/** Size of torch's `Generator.get_state()`: seed, counters, 624 words as u64, cached normals. */
const STATE_BYTES = 5056;
const STATE_WORDS_AT = 24;
const NORMAL_AT = STATE_WORDS_AT + 8 * N; // f64 x, y, rho, then i32 "valid"

const { fround, sqrt } = Math;

/** f32 fused multiply-add: the product of two f32 is exact in a double, so only the sum rounds (twice, very rarely). */
const fma = (a: number, b: number, c: number): number => fround(a * b + c);

const L0 = fround(7.0376836292e-2);
const L1 = fround(-1.151461031e-1);
const L2 = fround(1.167699874e-1);
const L3 = fround(-1.2420140846e-1);
const L4 = fround(1.4249322787e-1);
const L5 = fround(-1.6668057665e-1);
const L6 = fround(2.0000714765e-1);
const L7 = fround(-2.4999993993e-1);
const L8 = fround(3.3333331174e-1);
const LN2_LO = fround(-2.1219444e-4);
const LN2_HI = fround(0.693359375);
const SQRT_HALF = fround(Math.SQRT1_2);
const FOUR_OVER_PI = fround(4 / Math.PI);
const DP1 = fround(-0.78515625);
const DP2 = fround(-2.4187564849853516e-4);
const DP3 = fround(-3.774894977445941e-8);
const S0 = fround(-1.9515295891e-4);
const S1 = fround(8.3321608736e-3);
const S2 = fround(-1.6666654611e-1);
const C0 = fround(2.443315711809948e-5);
const C1 = fround(-1.388731625493765e-3);
const C2 = fround(4.166664568298827e-2);

const bitsF32 = new Float32Array(1);
const bitsU32 = new Uint32Array(bitsF32.buffer);

/** ln(x) for a normal f32 x in (0, 1], as torch's AVX2 code evaluates it. */
function logF32(u: number): number {
  bitsF32[0] = u;
  const bits = bitsU32[0]!;
  let e = (bits >>> 23) - 126;
  bitsU32[0] = (bits & 0x7fffff) | 0x3f000000;
  let x = bitsF32[0]; // mantissa in [0.5, 1)
  if (x < SQRT_HALF) {
    e -= 1;
    x = fround(x - 1 + x); // both sums are exact
  } else {
    x = fround(x - 1);
  }
  const z = fround(x * x);
  let y = fma(L0, x, L1);
  y = fma(y, x, L2);
  y = fma(y, x, L3);
  y = fma(y, x, L4);
  y = fma(y, x, L5);
  y = fma(y, x, L6);
  y = fma(y, x, L7);
  y = fma(y, x, L8);
  y = fround(y * x);
  y = fma(y, z, fround(e * LN2_LO));
  y = fma(z, -0.5, y);
  return fma(e, LN2_HI, fround(x + y));
}

/** Replaces the sixteen uniforms at `at` by sixteen normals: the first eight are radii, the last eight angles. */
function boxMuller16(data: Float32Array, at: number): void {
  for (let i = at; i < at + 8; i++) {
    const radius = fround(sqrt(-2 * logF32(fround(1 - data[i]!))));
    const theta = fround(TWO_PI_F32 * data[i + 8]!);
    // Octant of theta, made even; the rest of the angle lies in [-π/4, π/4].
    const octant = (Math.trunc(fround(theta * FOUR_OVER_PI)) + 1) & ~1;
    let x = fma(octant, DP1, theta);
    x = fma(octant, DP2, x);
    x = fma(octant, DP3, x);
    const z = fround(x * x);
    let c = fma(C0, z, C1);
    c = fma(c, z, C2);
    c = fround(c * z);
    c = fma(c, z, -0.5 * z);
    c = fround(c + 1);
    let s = fma(S0, z, S1);
    s = fma(s, z, S2);
    s = fround(s * z);
    s = fma(s, x, x);
    const swap = (octant & 2) !== 0;
    const cos = swap ? s : c;
    const sin = swap ? c : s;
    data[i] = radius * (((octant - 2) & 4) === 0 ? -cos : cos);
    data[i + 8] = radius * ((octant & 4) === 0 ? sin : -sin);
  }
}

/** A CPU generator with torch's numbers, order of draws and state bytes. */
export class TorchGenerator {
  readonly #words = new Uint32Array(N);
  #seed: bigint;
  /** Index of the next word; N means that a new batch is due. */
  #next = N;
  #fresh = true;
  /** The sine half of the last pair drawn in double precision, if it was not used yet. */
  #cached: number | undefined;

  /**
   * @param seed an integer, as for `torch.Generator("cpu").manual_seed(seed)`; only its low 32 bits matter to the
   *   numbers (also for negative ones), as in torch.
   * @throws when `seed` is a number that is not a safe integer (give a bigint above 2^53), or does not fit 64 bits.
   */
  constructor(seed: number | bigint) {
    if (typeof seed === "number" && !Number.isSafeInteger(seed)) {
      throw new Error(`seed ${seed} is not an integer below 2^53 in size; give a whole number, or a bigint.`);
    }
    const wide = BigInt(seed);
    if (wide < -(1n << 63n) || wide >= 1n << 64n) {
      throw new Error(`seed ${seed} does not fit 64 bits; give one from -2^63 to 2^64 - 1.`);
    }
    this.#seed = BigInt.asUintN(64, wide);
    const words = this.#words;
    words[0] = Number(this.#seed & 0xffffffffn);
    for (let j = 1; j < N; j++) {
      const last = words[j - 1]!;
      words[j] = Math.imul(1812433253, last ^ (last >>> 30)) + j;
    }
  }

  /** The seed as an unsigned 64-bit number (`initial_seed()`). */
  get seed(): bigint {
    return this.#seed;
  }

  /** The next 32-bit word, unsigned. */
  random(): number {
    if (this.#next === N) this.#twist();
    let y = this.#words[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** `torch.rand(n)`: f32 uniforms in [0, 1) of 24 bits. */
  rand(n: number): Float32Array {
    const out = new Float32Array(checkCount(n));
    for (let i = 0; i < n; i++) out[i] = (this.random() & 0xffffff) / 0x1000000;
    return out;
  }

  /** `torch.randn(n)`: n f32 standard normals, for a tensor of n elements drawn at once, in row-major order. */
  randn(n: number): Float32Array {
    if (checkCount(n) < 16) {
      const out = new Float32Array(n);
      for (let i = 0; i < n; i++) out[i] = this.#normal();
      return out;
    }
    const out = this.rand(n);
    for (let i = 0; i + 16 <= n; i += 16) boxMuller16(out, i);
    if (n % 16 !== 0) {
      // torch draws the last sixteen anew, over values already made.
      out.set(this.rand(16), n - 16);
      boxMuller16(out, n - 16);
    }
    return out;
  }

  /** `torch.randperm(n)`: a permutation of 0 … n-1. */
  randperm(n: number): Int32Array {
    const out = Int32Array.from({ length: checkCount(n) }, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const j = i + (this.random() % (n - i));
      const held = out[i]!;
      out[i] = out[j]!;
      out[j] = held;
    }
    return out;
  }

  /** The state as the 5,056 bytes of `torch.Generator.get_state()`: each program can go on where the other stopped. */
  getState(): Uint8Array {
    const bytes = new Uint8Array(STATE_BYTES);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, this.#seed, true);
    // torch counts the words left, one up, and has 1 before the first batch is made.
    view.setInt32(8, this.#fresh ? 1 : N + 1 - this.#next, true);
    view.setInt32(12, 1, true);
    view.setUint32(16, this.#fresh ? 0 : this.#next, true);
    for (let i = 0; i < N; i++) view.setUint32(STATE_WORDS_AT + 8 * i, this.#words[i]!, true);
    if (this.#cached !== undefined) {
      view.setFloat64(NORMAL_AT + 8, this.#cached, true);
      view.setInt32(NORMAL_AT + 24, 1, true);
    }
    return bytes;
  }

  /**
   * Goes on from a state made by `getState`, here or in torch.
   * @throws when the bytes are not such a state.
   */
  setState(bytes: Uint8Array): void {
    if (bytes.byteLength !== STATE_BYTES) {
      throw new Error(
        `A torch CPU generator state has ${STATE_BYTES} bytes, got ${bytes.byteLength}; use what getState() returned.`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = view.getInt32(8, true);
    const next = view.getUint32(16, true);
    const fresh = left === 1 && next === 0;
    if (view.getInt32(12, true) !== 1 || left < 1 || left > N || (!fresh && next !== N + 1 - left)) {
      throw new Error("These bytes are not the state of a seeded torch CPU generator; use what getState() returned.");
    }
    this.#seed = view.getBigUint64(0, true);
    this.#fresh = fresh;
    this.#next = fresh ? N : next;
    for (let i = 0; i < N; i++) this.#words[i] = view.getUint32(STATE_WORDS_AT + 8 * i, true);
    this.#cached = view.getInt32(NORMAL_AT + 24, true) === 0 ? undefined : view.getFloat64(NORMAL_AT + 8, true);
  }

  /** One standard normal in double precision, by pairs. */
  #normal(): number {
    const cached = this.#cached;
    if (cached !== undefined) {
      this.#cached = undefined;
      return cached;
    }
    const theta = 2 * Math.PI * this.#uniform53();
    const radius = sqrt(-2 * Math.log1p(-this.#uniform53()));
    this.#cached = radius * Math.sin(theta);
    return radius * Math.cos(theta);
  }

  /** A uniform of 53 bits in [0, 1): the high word is drawn first. */
  #uniform53(): number {
    const high = this.random() & 0x1fffff;
    return (high * 0x100000000 + this.random()) / 2 ** 53;
  }

  /** Makes the next batch of words. */
  #twist(): void {
    const w = this.#words;
    for (let i = 0; i < N; i++) {
      const y = (w[i]! & 0x80000000) | (w[i + 1 < N ? i + 1 : 0]! & 0x7fffffff);
      w[i] = w[i < N - M ? i + M : i + M - N]! ^ (y >>> 1) ^ ((y & 1) === 0 ? 0 : 0x9908b0df);
    }
    this.#next = 0;
    this.#fresh = false;
  }
}

function checkCount(n: number): number {
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`A count of random numbers must be a whole number, got ${n}.`);
  return n;
}
