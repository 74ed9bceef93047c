// SHA-256 (FIPS 180-4) of bytes that come in parts: the browser's own digest wants a file whole in memory, and checkpoints
// have gigabytes.

const K = Int32Array.from({ length: 64 }, (_, i) => fraction(prime(i), 1 / 3));
const START = Int32Array.from({ length: 8 }, (_, i) => fraction(prime(i), 1 / 2));
const BLOCK = 64;

/** The i-th prime number. */
function prime(i: number): number {
  for (let n = 2, found = -1; ; n++) {
    let d = 2;
    while (n % d !== 0) d++;
    if (d === n && ++found === i) return n;
  }
}

/** The first 32 bits of a root's fraction. */
function fraction(n: number, exponent: number): number {
  const root = n ** exponent;
  return ((root - Math.floor(root)) * 2 ** 32) | 0;
}

export class Sha256 {
  readonly #state = Int32Array.from(START);
  readonly #words = new Int32Array(BLOCK);
  /** The beginning of a block that is not whole yet. */
  readonly #rest = new Uint8Array(BLOCK);
  #restBytes = 0;
  #bytes = 0;

  update(data: Uint8Array): void {
    this.#bytes += data.length;
    let at = 0;
    if (this.#restBytes > 0) {
      at = Math.min(BLOCK - this.#restBytes, data.length);
      this.#rest.set(data.subarray(0, at), this.#restBytes);
      this.#restBytes += at;
      if (this.#restBytes < BLOCK) return;
      this.#block(this.#rest, 0);
    }
    for (; at + BLOCK <= data.length; at += BLOCK) this.#block(data, at);
    this.#rest.set(data.subarray(at));
    this.#restBytes = data.length - at;
  }

  /** 32 bytes; nothing can be added afterwards. */
  digest(): Uint8Array {
    const padded = new Uint8Array(this.#restBytes < BLOCK - 8 ? BLOCK : 2 * BLOCK);
    padded.set(this.#rest.subarray(0, this.#restBytes));
    padded[this.#restBytes] = 0x80;
    new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(this.#bytes) * 8n);
    for (let at = 0; at < padded.length; at += BLOCK) this.#block(padded, at);
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, i) => out.setInt32(4 * i, word));
    return new Uint8Array(out.buffer);
  }

  #block(data: Uint8Array, at: number): void {
    const w = this.#words;
    for (let i = 0; i < 16; i++, at += 4)
      w[i] = (data[at]! << 24) | (data[at + 1]! << 16) | (data[at + 2]! << 8) | data[at + 3]!;
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    const state = this.#state;
    let a = state[0]!;
    let b = state[1]!;
    let c = state[2]!;
    let d = state[3]!;
    let e = state[4]!;
    let f = state[5]!;
    let g = state[6]!;
    let h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] = (state[0]! + a) | 0;
    state[1] = (state[1]! + b) | 0;
    state[2] = (state[2]! + c) | 0;
    state[3] = (state[3]! + d) | 0;
    state[4] = (state[4]! + e) | 0;
    state[5] = (state[5]! + f) | 0;
    state[6] = (state[6]! + g) | 0;
    state[7] = (state[7]! + h) | 0;
  }
}
