// The studio's choice of kernels before a run, on a device that computes nothing.

import { expect, it } from "vitest";
import type { RunEvent } from "../../src/web/engine/protocol.js";
import { measureKernels } from "../../src/web/engine/tuning.js";
import { nullDevice } from "../support/null-device.js";
import { modelFolder, withVocabulary } from "../support/small-model.js";

const options = { prompt: "a", width: 64, height: 64, frames: 2, steps: 1 };
const plan = async () => ({
  what: { model: await withVocabulary(modelFolder(true)), precision: "f32" as const },
  options,
});

it("measures once, tells how far it is, and keeps what it found", async () => {
  const { device } = await nullDevice();
  const kept = new Map<string, string>();
  const cache = {
    read: (name: string) => Promise.resolve(kept.get(name)),
    write: async (name: string, text: string) => void kept.set(name, text),
  };
  const events: RunEvent[] = [];
  const measure = (signal = new AbortController().signal) =>
    measureKernels(device, plan, cache, (e) => events.push(e), signal);
  expect(await measure()).toBeUndefined();
  expect(events[0]).toMatchObject({ type: "stage", stage: "tune", fraction: 0, detail: `1 of ${events.length}` });
  expect(events.at(-1)).toMatchObject({ detail: `${events.length} of ${events.length}` });
  expect([...kept.keys()]).toEqual([expect.stringMatching(/^tuning-/)]);
  const found = [...kept.values()];
  events.length = 0;
  expect(await measure()).toBeUndefined();
  expect(events).toEqual([]);
  expect([...kept.values()]).toEqual(found);

  kept.clear();
  await expect(measure(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  device.dispose();
});

it("goes by the table where it cannot measure, and says so", async () => {
  const { device } = await nullDevice();
  const cache = { read: () => Promise.resolve(undefined), write: () => Promise.resolve() };
  const broken = () => Promise.reject(new Error("the files are gone"));
  expect(await measureKernels(device, broken, cache, () => undefined, new AbortController().signal)).toBe(
    "choosing kernels by measurement failed, the built-in table is used: the files are gone",
  );
  device.dispose();
});
