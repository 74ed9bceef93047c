// Seeded mutations of files, for fuzzing the readers: bytes flipped, lengths and offsets overwritten, parts cut, repeated or
// exchanged, and structured edits that a caller supplies.

/** mulberry32: small, seeded, good enough to choose bytes. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer in [0, n). */
  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

const INTERESTING = [0, 1, 2, 7, 8, 16, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** One to four random changes. */
export function mutate(original: Uint8Array, chance: Chance): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(original);
  for (let n = 1 + chance.below(4); n > 0; n--) {
    const at = bytes.length === 0 ? 0 : chance.below(bytes.length);
    switch (chance.below(7)) {
      case 0:
        if (bytes.length > 0) bytes[at]! ^= 1 << chance.below(8);
        break;
      case 1:
        if (bytes.length > 0) bytes[at] = chance.below(256);
        break;
      case 2:
        if (bytes.length >= 4)
          new DataView(bytes.buffer).setUint32(Math.min(at, bytes.length - 4), chance.pick(INTERESTING), true);
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4: {
        const end = Math.min(bytes.length, at + 1 + chance.below(32));
        bytes = new Uint8Array([...bytes.subarray(0, end), ...bytes.subarray(at)]);
        break;
      }
      case 5: {
        const end = Math.min(bytes.length, at + 1 + chance.below(8));
        bytes = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(end)]);
        break;
      }
      default: {
        const from = bytes.length === 0 ? 0 : chance.below(bytes.length);
        bytes.copyWithin(at, from, from + 1 + chance.below(16));
      }
    }
  }
  return bytes;
}

/** Inputs a fuzz test tries: a few thousand in the ordinary run, `FUZZ_COUNT` where that is set. */
export function fuzzCount(ordinary: number): number {
  return Number(process.env["FUZZ_COUNT"] ?? ordinary);
}
