import { expect, it } from "vitest";
import { expectClose, relativeL2 } from "./allclose.js";

it("accepts what is close and refuses what is not", () => {
  expectClose([1, 2, -3], [1, 2, -3.000001], 1e-5);
  expect(() => expectClose([1, 2, 3], [1, 2, -3], 1e-5)).toThrow("worst at 2: got 3, expected -3");
  expect(() => expectClose([1, 2], [1, 2, 3], 1)).toThrow("expected 3 values, got 2");
});

it("refuses NaN and infinity on either side", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    expect(() => expectClose([1, bad], [1, 2], 1e9)).toThrow("relative L2");
    expect(() => expectClose([1, 2], [1, bad], 1e9)).toThrow("relative L2");
  }
});

it("refuses a single wrong value that the norm would hide", () => {
  const expected = new Float32Array(1e6).fill(1);
  const actual = expected.slice();
  actual[12345] = 1.5;
  expect(relativeL2(actual, expected)).toBeLessThan(1e-3);
  expect(() => expectClose(actual, expected, 1e-3)).toThrow("worst at 12345");
});

it("takes zeros for zeros only", () => {
  expectClose([0, 0], [0, 0], 1e-6);
  expect(() => expectClose([0, 1e-9], [0, 0], 1e-6)).toThrow();
});
