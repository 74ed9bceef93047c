// When the studio says that a hidden tab is slowed down.

import { expect, it } from "vitest";
import { Pace } from "../../src/web/state/pace.js";

it("compares hidden steps with seen ones, and leaves out the first and those that were both", () => {
  let hidden = false;
  const pace = new Pace(() => hidden);
  const turn = (to: boolean) => {
    hidden = to;
    pace.changed();
  };
  expect(pace.step(1, 9)).toBeUndefined(); // compiles
  expect(pace.step(2, 1)).toBeUndefined();
  expect(pace.step(3, 1.2)).toBeUndefined();
  expect(pace.step(4, 1.1)).toBeUndefined();
  turn(true);
  expect(pace.step(5, 8)).toBeUndefined(); // half seen
  expect(pace.step(6, 1.4)).toBeUndefined(); // not much slower
  expect(pace.step(7, 3.3)).toBeUndefined(); // one alone may be chance
  expect(pace.step(8, 3.3)).toBeCloseTo(3);
  turn(false);
  expect(pace.step(9, 50)).toBeCloseTo(3); // half seen
});

it("says nothing where no step was seen", () => {
  const pace = new Pace(() => true);
  for (const [done, seconds] of [
    [1, 3],
    [2, 3],
    [3, 30],
  ] as const)
    expect(pace.step(done, seconds)).toBeUndefined();
});
