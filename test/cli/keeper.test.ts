// What is kept of a run that ends early, and what is said of it: why it ended counts, whatever becomes of its state.

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Interrupted, messageOf, statusOf } from "../../src/cli/failure.js";
import { Keeper } from "../../src/cli/keeper.js";
import type { StepEvent } from "../../src/pipelines/animatediff.js";

let folder: string;
let output: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-keeper-"));
  mkdirSync(join(folder, "clips"));
  output = join(folder, "clips/a clip.png");
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

const warnings: string[] = [];
const warn = (text: string) => void warnings.push(text);
const state = () => `${output}.resume`;

/** A step of which `done` is the number. */
function step(done: number): StepEvent {
  const shape = [1, 1, 1, 4] as const;
  const slots = new Map([["sample" as const, new Float32Array(4).fill(done)]]);
  return {
    type: "step",
    index: done - 1,
    count: 9,
    timestep: 1,
    seconds: 1,
    preview: () => Promise.reject(new Error("no preview")),
    state: () => Promise.resolve({ done, shape, slots, generator: new Uint8Array(1), run: { seed: 1 } }),
  };
}

/** Status and message of what a keeper throws on. */
async function told(keeper: Keeper, reason: unknown): Promise<readonly [number, string | undefined]> {
  const error = await keeper.stopped(reason);
  return [statusOf(error), messageOf(error, false)];
}

it("keeps the last step, and says with which command to go on", async () => {
  const first = await Keeper.open(undefined, output);
  expect(await told(first, new Interrupted("SIGINT"))).toEqual([130, "kineograph: interrupted; nothing was written"]);
  await first.step(step(2), warn);
  const goesOn = `the same command with --resume '${state()}' goes on from there`;
  expect(await told(first, new Interrupted("SIGINT"))).toEqual([
    130,
    `kineograph: interrupted after step 2; ${goesOn}`,
  ]);
  expect(await told(first, new Error("the disk is full"))).toEqual([
    1,
    `kineograph: the disk is full. The run stopped after step 2; ${goesOn}`,
  ]);
  const again = await Keeper.open(state(), output);
  expect(again.resumed?.done).toBe(2);
  await again.step(step(3), warn);
  expect(await told(again, new Interrupted("SIGTERM"))).toEqual([
    143,
    "kineograph: terminated after step 3; the same command goes on from there",
  ]);
  await again.done();
  expect(existsSync(state())).toBe(false);
});

it("says why a run ended where its state cannot be kept", async () => {
  const keeper = await Keeper.open(undefined, output);
  await keeper.step(step(2), warn);
  rmSync(join(folder, "clips"), { recursive: true });
  const lost = /the state could not be kept: cannot write .*a clip\.png\.resume: the folder does not exist/;
  const [status, message] = await told(keeper, new Interrupted("SIGINT"));
  expect([status, message]).toEqual([130, expect.stringMatching(/^kineograph: interrupted after step 2; /)]);
  expect(message).toMatch(lost);
  const [other, failure] = await told(keeper, new Error("the network is unreachable"));
  expect([other, failure]).toEqual([1, expect.stringMatching(/^kineograph: the network is unreachable\. The run /)]);
  expect(failure).toMatch(lost);
});

it("keeps no state of a run that did not go on, and does not send back to the command that failed", async () => {
  const first = await Keeper.open(undefined, output);
  await first.step(step(2), warn);
  await first.stopped(new Interrupted("SIGINT"));
  const again = await Keeper.open(state(), output);
  const refusal = new Error("its steps was 2, now it is 3; give the same options");
  expect(await told(again, refusal)).toEqual([1, `kineograph: ${refusal.message}`]);
  expect((await told(again, new Interrupted("SIGINT")))[1]).toBe(
    "kineograph: interrupted after step 2; the same command goes on from there",
  );
});

it("names an earlier state that is still there", async () => {
  const first = await Keeper.open(undefined, output);
  await first.step(step(2), warn);
  await first.stopped(new Interrupted("SIGINT"));
  const again = await Keeper.open(state(), output);
  await again.step(step(3), warn);
  rmSync(state());
  mkdirSync(join(state(), "in the way"), { recursive: true });
  expect((await told(again, new Interrupted("SIGINT")))[1]).toMatch(
    /interrupted after step 3; the state could not be kept: .*; the same command goes on after step 2$/,
  );
});

it("lets a run go on whose state cannot be kept meanwhile, and warns once", async () => {
  const clock = vi.spyOn(performance, "now").mockReturnValue(0);
  const keeper = await Keeper.open(undefined, output);
  clock.mockReturnValue(11_000);
  await keeper.step(step(1), warn);
  expect(readdirSync(join(folder, "clips"))).toEqual(["a clip.png.resume"]);
  rmSync(join(folder, "clips"), { recursive: true });
  for (const done of [2, 3]) {
    clock.mockReturnValue(11_000 * done);
    await keeper.step(step(done), warn);
  }
  expect(warnings).toEqual([expect.stringMatching(/^the run's state could not be kept: cannot write .*; it goes on/)]);
});
