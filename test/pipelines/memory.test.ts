// Ways to keep weights: what each takes, and that frames are the same (streamed), or as close as 8 bits allow.

import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFile, openFolder } from "../../src/io/node-file.js";
import type { FramesEvent } from "../../src/pipelines/animatediff.js";
import { loadPipeline, type LoadOptions } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { planPipeline } from "../../src/pipelines/plan.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";

let device: Device;
let precision: "f32" | "f16";
beforeAll(async () => {
  device = await testDevice();
  precision = device.capabilities.f16 ? "f16" : "f32";
});

const TINY: GenerateOptions = { prompt: "a red circle", frames: 3, width: 32, height: 24, steps: 2 };

/** One run of a freshly loaded model; its frames, and how much memory loading and running took beyond what was in use. */
async function clip(load: LoadOptions, run: GenerateOptions): Promise<FramesEvent & { readonly peakBytes: number }> {
  device.trim();
  device.pool.resetPeaks();
  const before = device.memory.reserved;
  const { pipeline } = await loadPipeline(device, load);
  try {
    for await (const e of pipeline.generate(run))
      if (e.type === "frames") return { ...e, peakBytes: device.memory.peakReserved - before };
  } finally {
    pipeline.dispose();
  }
  throw new Error("no frames");
}

async function tiny(name: string): Promise<LoadOptions> {
  return { model: await openFolder(fixturePath(name)), precision, weights: "f16" };
}

async function demo(): Promise<LoadOptions> {
  const root = fileURLToPath(new URL("../../models/shapes/", import.meta.url));
  return {
    model: await openFolder(`${root}base`),
    motion: await openFolder(`${root}motion-lcm`),
    loras: [{ source: await openFile(`${root}lcm-lora.safetensors`), weight: 1 }],
    precision,
    weights: "f16",
  };
}

/** Peak signal-to-noise ratio in dB of 8-bit RGBA pictures, alpha left out. */
function psnr(a: Uint8Array, b: Uint8Array): number {
  let error = 0;
  for (let i = 0; i < a.length; i++) if (i % 4 < 3) error += (a[i]! - b[i]!) ** 2;
  return 10 * Math.log10(255 ** 2 / Math.max((4 * error) / (3 * a.length), 1e-12));
}

describe("int8 weights", () => {
  it.each(["tiny-a", "tiny-b"])("make f16's frames to 38 dB: %s", async (name) => {
    const exact = await clip(await tiny(name), TINY);
    const coded = await clip({ ...(await tiny(name)), weights: "int8" }, TINY);
    const db = psnr(coded.frames.rgba, exact.frames.rgba);
    expect(db).toBeGreaterThanOrEqual(38);
    expect(db).toBeLessThan(90); // they are not the same weights
  });

  it("make f16's frames to 38 dB on the demo model, in less memory", async () => {
    const run = { prompt: "a red star moving left on a night sky", seed: 7, frames: 4, width: 64, height: 64 };
    const exact = await clip(await demo(), run);
    const coded = await clip({ ...(await demo()), weights: "int8" }, run);
    expect(psnr(coded.frames.rgba, exact.frames.rgba)).toBeGreaterThanOrEqual(38);
    const low = await clip({ ...(await demo()), lowMemory: true }, run);
    expect(Buffer.compare(low.frames.rgba, exact.frames.rgba)).toBe(0);
    expect(low.peakBytes).toBeLessThan(0.7 * exact.peakBytes);

    const files = await demo();
    for (const [measured, storage] of [
      [exact, { weights: "f16" }],
      [coded, { weights: "int8" }],
      [low, { weights: "f16", lowMemory: true }],
    ] as const) {
      const plan = await planPipeline(device.capabilities, { ...files, precision, storage }, run);
      expect.soft(measured.peakBytes / plan.peakBytes, JSON.stringify(storage)).toBeGreaterThan(0.95);
      expect.soft(measured.peakBytes / plan.peakBytes, JSON.stringify(storage)).toBeLessThan(1.05);
    }
  });
});

describe("lowMemory", () => {
  it.each(["f16", "int8"] as const)("gives the same frames bit for bit, %s, guided or not", async (weights) => {
    for (const guidance of [1, 2]) {
      const load = { ...(await tiny("tiny-b")), weights };
      const normal = await clip(load, { ...TINY, guidance });
      const low = await clip({ ...load, lowMemory: true }, { ...TINY, guidance });
      expect(Buffer.compare(low.frames.rgba, normal.frames.rgba)).toBe(0);
    }
  });
});

describe("lowMemory over a FreeNoise clip, whose layers take some frames at a time", () => {
  it("gives the same frames, and each weight crosses the bus once", async () => {
    const short = { prompt: "a red star", frames: 2, width: 16, height: 16, steps: 1 };
    const long = { ...short, frames: 20, long: "free-noise", context: 8 } as const;
    const normal = await clip(await demo(), long);
    const uploads = vi.spyOn(device, "upload");
    const crossing = async (run: GenerateOptions) => {
      uploads.mockClear();
      const { frames } = await clip({ ...(await demo()), lowMemory: true }, run);
      return { frames, bytes: uploads.mock.calls.reduce((n, [, data]) => n + data.byteLength, 0) };
    };
    const [once, parts] = [await crossing(short), await crossing(long)];
    uploads.mockRestore();
    expect(Buffer.compare(parts.frames.rgba, normal.frames.rgba)).toBe(0);
    expect(parts.bytes / once.bytes).toBeLessThan(1.3); // the frames that wait on the host cross it too
  });
});

describe("at full size", () => {
  const run = { prompt: "", frames: 16, width: 512, height: 512 };

  it.each([
    [{ weights: "f16" }, 3.5e9],
    [{ weights: "int8" }, 2.3e9],
    [{ weights: "f16", lowMemory: true }, 1e9],
    [{ weights: "int8", lowMemory: true }, 1e9],
  ] as const)("a run with %j takes at most %d bytes", async (storage, most) => {
    const plan = await planPipeline({}, { model: "sd15", precision: "f16", storage }, run);
    expect(plan.peakBytes).toBeLessThanOrEqual(most);
    expect(plan.pipelines).toBeLessThanOrEqual(40);
  });
});
