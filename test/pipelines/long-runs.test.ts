// What long runs promise beside their pictures: windows are put together as told, an interrupted run ends in the same bits,
// nothing is left on the device, and what cannot work is refused.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { memorySource } from "../../src/io/byte-source.js";
import { memoryFolder } from "../../src/io/folder.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline, StepEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { SD15_ANIMATELCM } from "../../src/pipelines/build.js";
import { planRun } from "../../src/pipelines/plan.js";
import { decodeRunState, encodeRunState, type RunState } from "../../src/pipelines/run-state.js";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { relativeL2 } from "../support/allclose.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";
import { framesOf } from "../support/pictures.js";

let device: Device;
let pipeline: AnimateDiffPipeline;
/** The same model without motion modules: frames know nothing of each other. */
let still: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  const folder = fixturePath("tiny-a");
  pipeline = (await loadPipeline(device, { model: await openFolder(folder), precision: "f32" })).pipeline;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile() && !e.parentPath.includes("motion_adapter"))
    .map((e) => join(e.parentPath, e.name));
  const contents = new Map(files.map((f) => [f.slice(folder.length + 1), new Uint8Array(readFileSync(f))]));
  still = (await loadPipeline(device, { model: memoryFolder("still", contents), precision: "f32" })).pipeline;
});
afterAll(() => {
  pipeline.dispose();
  still.dispose();
});

const SMALL: GenerateOptions = { prompt: "a red circle", frames: 7, width: 16, height: 16, steps: 2 };
const WINDOWS: GenerateOptions = { ...SMALL, long: "window", context: 4, stride: 2 };

describe("context windows", () => {
  it.each(["static", "looped"] as const)(
    "give each frame its own text, noise and place: %s",
    async (contextSchedule) => {
      const options = { ...SMALL, guidance: 2, negative: "bad", promptAt: { 3: "the night", 6: "a star" } };
      const whole = await framesOf(still.generate(options));
      const windowed = await framesOf(
        still.generate({ ...options, long: "window", context: 4, stride: 3, contextSchedule }),
      );
      expect(relativeL2(windowed.latents, whole.latents)).toBeLessThan(1e-5);
    },
  );

  it("change a clip whose frames know each other, and tell of each window", async () => {
    const whole = await framesOf(pipeline.generate(SMALL));
    const events: string[] = [];
    for await (const e of pipeline.generate(WINDOWS)) {
      if (e.type === "window") events.push(`window ${e.done}/${e.count}`);
      else if (e.type === "step") events.push(`step ${e.index + 1}/${e.count}`);
      else expect(relativeL2(e.latents, whole.latents)).toBeGreaterThan(1e-3);
    }
    const three = (from: number) => [1, 2, 3].map((i) => `window ${from + i}/6`);
    expect(events).toEqual([...three(0), "step 1/2", ...three(3), "step 2/2"]);
  });

  it("take no more memory for 256 frames than for 16, but for the latents", () => {
    const sizes = { prompt: "", width: 512, height: 512 };
    const short = planRun(SD15_ANIMATELCM, sizes);
    const long = planRun(SD15_ANIMATELCM, { ...sizes, frames: 256, long: "window", promptAt: { 255: "" } });
    expect(long.peakBytes / short.peakBytes).toBeLessThan(1.3);
    expect(long.flops / short.flops).toBeGreaterThan(32);
  });
});

/** A run up to `steps` steps, its state through a file, and the run that goes on from there. */
async function inTwoParts(
  options: GenerateOptions,
  steps: number,
): Promise<readonly [StepEvent[], RunState, Uint8Array]> {
  const events: StepEvent[] = [];
  let file = new Uint8Array();
  for await (const e of pipeline.generate(options)) {
    if (e.type !== "step") continue;
    events.push(e);
    if (events.length < steps) continue;
    file = encodeRunState(await e.state());
    break;
  }
  const state = await decodeRunState(memorySource("state", file));
  const resumed = await framesOf(pipeline.generate({ ...options, resume: state }));
  return [events, state, new Uint8Array(resumed.latents.buffer)];
}

describe("a resumed run", () => {
  it.each<[string, GenerateOptions]>([
    ["lcm", { ...SMALL, steps: 4 }],
    ["euler-a", { ...SMALL, steps: 4, scheduler: "euler-a" }],
    ["dpm++", { ...SMALL, steps: 4, scheduler: "dpm++" }],
    ["unipc", { ...SMALL, steps: 5, scheduler: "unipc" }],
    ["pndm", { ...SMALL, steps: 6, scheduler: "pndm" }],
    ["windows, prompt travel and FreeInit", { ...WINDOWS, freeInit: 2, promptAt: { 5: "the night" } }],
    ["FreeNoise under guidance", { ...SMALL, steps: 3, guidance: 2, long: "free-noise", context: 4, stride: 3 }],
  ])("ends in the same bits: %s", async (_, options) => {
    const whole = await framesOf(pipeline.generate(options));
    const [events, state, latents] = await inTwoParts(options, 3);
    expect([events.length, state.done]).toEqual([3, 3]);
    expect(Buffer.compare(latents, new Uint8Array(whole.latents.buffer))).toBe(0);
  });

  it("is refused with other options, another model, or a file that is none", async () => {
    const [, state] = await inTwoParts(SMALL, 1);
    const run = (change: Partial<GenerateOptions>, on = pipeline) =>
      framesOf(on.generate({ ...SMALL, ...change, resume: state }));
    await expect(run({ steps: 3 })).rejects.toThrow("its steps was 2, now it is 3; give the same options");
    await expect(run({ seed: 7n })).rejects.toThrow('its seed was 0, now it is "7"');
    await expect(run({ promptAt: { 2: "x" } })).rejects.toThrow('its promptAt was {}, now it is {"2":"x"}');
    await expect(run({}, still)).rejects.toThrow("is of a run with another model");
    const other = readFileSync(fixturePath("pipelines-long.safetensors"));
    await expect(decodeRunState(memorySource("x.safetensors", other))).rejects.toThrow(
      "x.safetensors holds tensors, but not the state of a run",
    );
  });
});

/** LEAK_RUNS=20 for a thorough look. */
const RUNS = Number(process.env["LEAK_RUNS"] ?? 2);

it("frees all it used, run after run of every mode", async () => {
  const modes: GenerateOptions[] = [
    WINDOWS,
    { ...WINDOWS, contextSchedule: "looped" },
    { ...SMALL, long: "free-noise", context: 4, stride: 2 },
    { ...SMALL, freeInit: 2, steps: 1 },
    { ...SMALL, promptAt: { 3: "the night" } },
  ];
  for (const options of modes) await framesOf(pipeline.generate({ ...options, steps: 1 }));
  const { used, reserved } = device.memory;
  for (let i = 0; i < RUNS; i++)
    for (const options of modes) {
      await framesOf(pipeline.generate({ ...options, steps: 1 }));
      expect(device.memory.used).toBe(used);
    }
  expect(device.memory.reserved).toBeLessThanOrEqual(reserved * 1.1);
});

it.each<[Partial<GenerateOptions>, string]>([
  [
    { frames: 33 },
    "33 frames are more than the 32 positions that the motion module knows; ask for at most 32, or make a longer clip with --long window",
  ],
  [{ long: "window" }, "context is 16, more than the clip's 7 frames"],
  [{ long: "window", frames: 50, context: 40 }, "context is 40, more than the 32 positions"],
  [{ long: "free-noise", context: 4, stride: 0 }, "stride is 0, expected a whole number from 1 to the context, 4"],
  [{ long: "free-noise", context: 4, stride: 5 }, "stride is 5, expected a whole number from 1 to the context, 4"],
  [{ long: "window", context: 2.5 }, "context is 2.5, expected a whole number"],
  [{ context: 4 }, 'context has no effect without windows of frames; choose them with long "free-noise" or "window"'],
  [{ long: "free-noise", context: 4, contextSchedule: "looped" }, "contextSchedule has no effect on FreeNoise"],
  [{ promptAt: { 7: "x" } }, "there is a prompt at frame 7, expected a frame from 1 to 6"],
  [{ promptAt: { 0: "x" } }, "the prompt itself stands at frame 0"],
  [{ freeInit: -1 }, "freeInit is -1"],
  [{ freeInitFilter: "gaussian" }, "freeInitFilter has no effect with fewer than 2 FreeInit runs"],
])("refuses %j", async (change, message) => {
  await expect(framesOf(pipeline.generate({ ...SMALL, ...change }))).rejects.toThrow(message);
});
