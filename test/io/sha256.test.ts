// SHA-256 in parts against Node's, at every length around a block's and in uneven parts.

import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { Sha256 } from "../../src/io/sha256.js";

const bytes = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * 167 + (i >> 8)) & 255);
const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");
const reference = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

it.each([0, 1, 3, 54, 55, 56, 63, 64, 65, 119, 120, 127, 128, 1000])("hashes %d bytes", (n) => {
  const hash = new Sha256();
  hash.update(bytes(n));
  expect(hex(hash.digest())).toBe(reference(bytes(n)));
});

it("hashes parts of any length as the whole", () => {
  const whole = bytes(200_000);
  const hash = new Sha256();
  for (let at = 0, part = 0; at < whole.length; at += part) {
    part = (part * 31 + 7) % 997;
    hash.update(whole.subarray(at, at + part));
  }
  expect(hex(hash.digest())).toBe(reference(whole));
});
