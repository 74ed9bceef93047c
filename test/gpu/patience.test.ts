// Waiting for a device: turns of the event loop are few while something is awaited, and none is held up for nothing.

import { afterEach, describe, expect, it, vi } from "vitest";
import { Patience } from "../../src/gpu/patience.js";

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const never = new Promise<never>(() => undefined);

/** Turns of the event loop until `work` is done, by somebody who asks for the next one at once, as Dawn's binding does. */
async function turnsUntil(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let done = false;
  const turn = () => {
    turns++;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  await work;
  done = true;
  return turns;
}

describe("Patience", () => {
  afterEach(() => vi.restoreAllMocks());

  it("lets the event loop turn a few times a millisecond at most while somebody waits", async () => {
    const patience = new Patience({ lost: never });
    const waiting = patience.wait(after(100));
    expect(await turnsUntil(waiting)).toBeLessThan(300);
  });

  it("naps once a turn, however many wait, and until the last of them has what it waits for", async () => {
    const patience = new Patience({ lost: never });
    const naps = vi.spyOn(Atomics, "wait");
    const both = Promise.all([patience.wait(after(20)), patience.wait(after(60))]);
    const turns = await turnsUntil(both);
    expect(naps.mock.calls.length).toBeGreaterThan(turns / 2);
    expect(naps.mock.calls.length).toBeLessThanOrEqual(turns);
    for (const [, , , ms] of naps.mock.calls) expect(ms).toBeLessThanOrEqual(1);
    naps.mockClear();
    await after(10);
    expect(naps).not.toHaveBeenCalled();
  });

  it("holds up nothing that is done already", async () => {
    const naps = vi.spyOn(Atomics, "wait");
    expect(await new Patience({ lost: never }).wait(Promise.resolve(7))).toBe(7);
    await after(5);
    expect(naps).not.toHaveBeenCalled();
  });

  it("passes errors on, and waits no longer for a device that is lost", async () => {
    let lose: (info: GPUDeviceLostInfo) => void = () => undefined;
    const patience = new Patience({ lost: new Promise((resolve) => (lose = resolve)) });
    await expect(patience.wait(Promise.reject(new Error("no")))).rejects.toThrow("no");
    const naps = vi.spyOn(Atomics, "wait");
    void patience.wait(never);
    await after(5);
    expect(naps).toHaveBeenCalled();
    lose({ reason: "unknown", message: "" } as GPUDeviceLostInfo);
    await after(5);
    naps.mockClear();
    await after(10);
    expect(naps).not.toHaveBeenCalled();
  });
});
