// Whole runs without memory, or whose device goes away: one sentence with the cure, nothing left behind, and what can go on
// goes on. On a device that computes nothing and has as much memory as it is told.

import { describe, expect, it } from "vitest";
import { DeviceLostError, OutOfMemoryError } from "../../src/gpu/errors.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { fixturePath } from "../support/fixtures.js";
import { nullDevice, type NullDevice } from "../support/null-device.js";
import { framesOf } from "../support/pictures.js";

const RUN: GenerateOptions = { prompt: "a red circle", frames: 6, width: 32, height: 32, steps: 3 };

async function load({ device }: NullDevice, more: Partial<LoadOptions> = {}): Promise<AnimateDiffPipeline> {
  return (await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), ...more })).pipeline;
}

/** How a promise fails. */
function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
}

/** The error of a run without memory: one sentence that says what takes less. */
function expectOutOfMemory(error: unknown): void {
  expect(error).toBeInstanceOf(OutOfMemoryError);
  expect((error as Error).message).toMatch(/^out of (GPU )?memory: .*(--low-memory|fewer frames).*[^.\n]$/);
  expect((error as Error).message).not.toContain("\n");
}

describe("out of memory", () => {
  it("while loading leaves nothing behind, and the device loads what fits", async () => {
    const gpu = await nullDevice();
    using device = gpu.device;
    for (const limit of [2 ** 18, 2 ** 20, 4.5 * 2 ** 20, 5 * 2 ** 20]) {
      gpu.limit(limit);
      expectOutOfMemory(await failure(load(gpu)));
      gpu.limit(Infinity);
      device.trim();
      expect(device.memory).toMatchObject({ used: 0, reserved: 0 });
    }
    using pipeline = await load(gpu);
    await framesOf(pipeline.generate(RUN));
  });

  it.each([
    ["normal", {}],
    ["streamed", { weights: "int8", lowMemory: true }],
  ] as const)("anywhere in a run leaves the pipeline as it was: %s weights", async (_, storage) => {
    const gpu = await nullDevice();
    using device = gpu.device;
    using pipeline = await load(gpu, storage);
    await framesOf(pipeline.generate(RUN));
    device.trim();
    const { used, reserved } = device.memory;
    const from = gpu.buffers().aliveBytes;
    let failed = 0;
    // Ever more memory, until the run succeeds: it fails at each of its stages on the way.
    for (let more = 0; failed < 60; more = more * 1.3 + 2048) {
      gpu.limit(from + more);
      const error = await failure(framesOf(pipeline.generate(RUN)));
      gpu.limit(Infinity);
      device.trim();
      expect({ used: device.memory.used, reserved: device.memory.reserved }).toEqual({ used, reserved });
      if (error instanceof Error && error.message === "it did not fail") break;
      expectOutOfMemory(error);
      failed++;
    }
    expect(failed).toBeGreaterThan(5);
    expect(failed).toBeLessThan(60);
    await framesOf(pipeline.generate(RUN));
  });

  it("of one run does not stop another on the same device", async () => {
    const gpu = await nullDevice();
    using device = gpu.device;
    using one = await load(gpu);
    using other = await load(gpu);
    await framesOf(one.generate(RUN));
    const small = one.generate({ ...RUN, steps: 6 });
    await small.next();
    const step = await small.next(); // its memory is taken by now
    expect(step.value).toMatchObject({ type: "step", index: 1 });
    gpu.limit(gpu.buffers().aliveBytes + 2 ** 20);
    const large = failure(framesOf(other.generate({ ...RUN, width: 256, height: 256 })));
    for (const index of [2, 3, 4]) expect((await small.next()).value).toMatchObject({ type: "step", index });
    expectOutOfMemory(await large);
    gpu.limit(Infinity); // decoding takes more
    await framesOf(small);
    expect(device.memory.used).toBeGreaterThan(0);
  });
});

describe("a lost device", () => {
  it("ends loading and compiling with the reason", async () => {
    const gpu = await nullDevice();
    using device = gpu.device;
    let told = 0;
    const loading = load(gpu, {
      firstRun: RUN,
      onProgress: () => {
        if (told++ === 5) device.lose();
      },
    });
    expect(await failure(loading)).toBeInstanceOf(DeviceLostError);
    expect(await failure(load(gpu))).toBeInstanceOf(DeviceLostError);
  });

  it("ends a run with the reason, whatever it was waiting for", async () => {
    const gpu = await nullDevice();
    using device = gpu.device;
    using pipeline = await load(gpu);
    const run = pipeline.generate(RUN);
    const first = run.next();
    await new Promise((resolve) => setTimeout(resolve, 0));
    device.lose();
    expect(await failure(first.then(() => framesOf(run)))).toBeInstanceOf(DeviceLostError);
  });
});
