/** TorchGenerator against PyTorch's CPU generator; fixtures by test/reference/torch-generator.py. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";

interface Fixture {
  readonly draws: readonly { readonly seed: string; readonly n: number; readonly bits: readonly number[] }[];
  readonly long: readonly {
    readonly seed: number;
    readonly n: number;
    readonly sha256: string;
    readonly every97: readonly number[];
  }[];
  readonly sequence: readonly {
    readonly op: "randn" | "rand" | "randperm";
    readonly n: number;
    readonly bits?: readonly number[];
    readonly values?: readonly number[];
  }[];
  readonly state: string;
  readonly after: readonly number[];
  readonly afterOne: readonly number[];
  readonly freshState: string;
  readonly fullState: string;
}

const fixture = JSON.parse(
  readFileSync(new URL("../reference/fixtures/torch-generator.json", import.meta.url), "utf8"),
) as Fixture;
const bitsOf = (x: Float32Array): number[] => [...new Uint32Array(x.buffer, x.byteOffset, x.length)];
const sha256 = (x: Float32Array | Uint8Array): string =>
  createHash("sha256")
    .update(new Uint8Array(x.buffer, x.byteOffset, x.byteLength))
    .digest("hex");

/** A generator after the fixture's mixed sequence of draws, checking each on the way. */
function replaySequence(): TorchGenerator {
  const g = new TorchGenerator(3);
  for (const { op, n, bits, values } of fixture.sequence) {
    if (op === "randperm") expect([...g.randperm(n)]).toEqual(values);
    else expect(bitsOf(g[op](n)), `${op}(${n})`).toEqual(bits);
  }
  return g;
}

describe("TorchGenerator", () => {
  it("draws torch.randn bit for bit: short, blocks of 16, redrawn tails, seeds beyond 32 bits and negative", () => {
    for (const { seed, n, bits } of fixture.draws) {
      expect(bitsOf(new TorchGenerator(BigInt(seed)).randn(n)), `seed ${seed}, n ${n}`).toEqual(bits);
    }
  });

  it("draws whole latents bit for bit", () => {
    for (const { seed, n, sha256: wanted, every97 } of fixture.long) {
      const x = new TorchGenerator(seed).randn(n);
      expect(bitsOf(x.filter((_, i) => i % 97 === 0).subarray(0, 2000))).toEqual(every97);
      expect(sha256(x), `seed ${seed}, n ${n}`).toBe(wanted);
    }
  });

  it("keeps torch's order over mixed draws, the cached half of a pair included", () => {
    const g = replaySequence();
    expect(bitsOf(g.randn(40))).toEqual(fixture.after);
    expect(bitsOf(g.randn(1))).toEqual(fixture.afterOne);
  });

  it("writes torch's state bytes", () => {
    expect(sha256(new TorchGenerator(11).getState())).toBe(fixture.freshState);
    const used = new TorchGenerator(11);
    used.rand(624);
    expect(sha256(used.getState())).toBe(fixture.fullState);
    expect(Buffer.from(replaySequence().getState())).toEqual(inflateSync(Buffer.from(fixture.state, "base64")));
  });

  it("goes on from torch's state, and from its own at any place", () => {
    const g = new TorchGenerator(0);
    g.setState(inflateSync(Buffer.from(fixture.state, "base64")));
    expect(g.seed).toBe(3n);
    expect(bitsOf(g.randn(40))).toEqual(fixture.after);
    expect(bitsOf(g.randn(1))).toEqual(fixture.afterOne);
    for (const used of [0, 1, 623, 624, 625]) {
      const first = new TorchGenerator(5);
      first.rand(used);
      const second = new TorchGenerator(6);
      second.setState(first.getState());
      expect(second.randn(33)).toEqual(first.randn(33));
    }
  });

  it("refuses what is no seed, no count and no state", () => {
    expect(() => new TorchGenerator(1.5)).toThrow(/whole number/);
    expect(() => new TorchGenerator(2 ** 60)).toThrow(/bigint/);
    expect(() => new TorchGenerator(1n << 64n)).toThrow(/64 bits/);
    expect(() => new TorchGenerator(0).randn(-1)).toThrow(/whole number/);
    expect(() => new TorchGenerator(0).setState(new Uint8Array(10))).toThrow(/5056 bytes, got 10/);
    expect(() => new TorchGenerator(0).setState(new Uint8Array(5056))).toThrow(/not the state/);
  });
});
