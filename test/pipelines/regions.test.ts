// Regional prompts against their formula in PyTorch (test/reference/pipelines_regions.py), and what must hold by itself.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { openFolder } from "../../src/io/node-file.js";
import { memorySource } from "../../src/io/byte-source.js";
import type { Clip } from "../../src/io/frames.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadIPAdapter } from "../../src/pipelines/control/ip-adapter.js";
import type { Rectangle, RegionOptions } from "../../src/pipelines/control/regions.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { relativeL2 } from "../support/allclose.js";
import { last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

interface Case extends Omit<GenerateOptions, "regions"> {
  readonly regions: readonly { readonly prompt: string; readonly area?: Rectangle }[];
}

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-regions.safetensors");
  ({ pipeline } = await loadPipeline(device, { model: await openFolder(fixturePath("tiny-a")), precision: "f32" }));
});
afterAll(() => pipeline.dispose());

const RED = "a red circle moving to the left";
const NIGHT = "the night over the water";
const SMALL = { frames: 5, width: 32, height: 24, steps: 2 };
const ALL: Rectangle = [0, 0, 1, 1];

/** A mask of the fixture, u8 `[f, H, W]`. */
async function maskOf(name: string): Promise<Clip> {
  const [count = 0, height = 0, width = 0] = fixture.shape(name);
  const grey = await fixture.values(name);
  const rgba = Uint8Array.from({ length: grey.length * 4 }, (_, i) => (i % 4 === 3 ? 255 : grey[Math.floor(i / 4)]!));
  return { width, height, count, rgba };
}

const latentsOf = async (options: GenerateOptions) => (await last(pipeline.generate(options))).latents;

describe("regions", () => {
  it.each(["left", "overlap", "guided", "moving", "travel"])("are their formula in f32: %s", async (name) => {
    const c = fixture.json<Record<string, Case>>("cases")[`regions-${name}`]!;
    const regions = await Promise.all(
      c.regions.map(async ({ prompt, area }, i): Promise<RegionOptions> => ({
        prompt,
        area: area ?? (await maskOf(`regions-${name}.in.mask.${i}`)),
      })),
    );
    const e = await last(pipeline.generate({ ...c, regions }));
    expect(relativeL2(e.latents, await fixture.values(`regions-${name}.latents`))).toBeLessThan(1e-4);
    expect(psnr(e.frames.rgba, await fixture.values(`regions-${name}.frames`))).toBeGreaterThan(60);
  });

  // A region that is the whole picture, of whose prompt nothing is left, is that prompt.
  const whole = { prompt: RED, regions: [{ prompt: NIGHT, area: ALL }], regionBase: 0 };
  it.each<[string, Partial<GenerateOptions>]>([
    ["under guidance", { guidance: 2, negative: "bad" }],
    ["with weighted prompts", { regions: [{ prompt: "(the night:1.4) over [water]", area: ALL }] }],
    ["in windows", { long: "window", context: 4, stride: 2, frames: 6 }],
    ["in windows around the end", { long: "window", context: 4, stride: 2, frames: 6, contextSchedule: "looped" }],
  ])("that cover all leave only their prompt: %s", async (_, options) => {
    const c = { ...SMALL, ...whole, ...options };
    const { regions, regionBase: __, ...plain } = c;
    const alone = await latentsOf({ ...plain, prompt: regions[0]!.prompt });
    expect(relativeL2(await latentsOf(c), alone)).toBeLessThan(1e-6);
  });

  it("leave pictures as prompts to act beside them", async () => {
    const adapter = await loadIPAdapter(device, pipeline.parts.unet, {
      adapter: memorySource("ip.safetensors", readFileSync(fixturePath("tiny-a-ip-adapter.safetensors"))),
      encoder: await openFolder(fixturePath("tiny-a-ip-encoder")),
      precision: "f32",
    });
    using _ = adapter;
    const picture = { width: 2, height: 2, rgba: new Uint8Array(16).map((_v, i) => (i * 67) % 256) };
    const imagePrompts = [{ adapter, images: [picture], scale: 0.8 }];
    const regional = await latentsOf({ ...SMALL, ...whole, guidance: 1.5, imagePrompts });
    const alone = await latentsOf({ ...SMALL, prompt: NIGHT, guidance: 1.5, imagePrompts });
    expect(relativeL2(regional, alone)).toBeLessThan(1e-6);
    expect(relativeL2(await latentsOf({ ...SMALL, prompt: NIGHT, guidance: 1.5 }), alone)).toBeGreaterThan(1e-3);
  });

  it("follow a moving mask through windows of frames", async () => {
    const area = await maskOf("regions-moving.in.mask.0");
    const looped = { ...SMALL, prompt: RED, long: "window", context: 5, stride: 5, contextSchedule: "looped" } as const;
    const regions = [{ prompt: NIGHT, area }];
    // One window, at the second step shifted around the end: the mask's frames shift with the clip's.
    const moving = await latentsOf({ ...looped, regions });
    const still = await latentsOf({
      ...looped,
      regions: [{ prompt: NIGHT, area: { ...area, count: 1, rgba: area.rgba.slice(0, area.rgba.length / 5) } }],
    });
    expect(relativeL2(moving, still)).toBeGreaterThan(1e-2);
  });

  it("cost nothing where there are none, and read new weights", async () => {
    const lora = memorySource("lora.safetensors", readFileSync(fixturePath("tiny-a-lora.safetensors")));
    const plain = { ...SMALL, prompt: NIGHT };
    device.resetCounts();
    const before = await latentsOf(plain);
    const { dispatches } = device.counts;
    await pipeline.setLoras([{ source: lora, weight: 1 }]);
    const [with_, alone] = [await latentsOf({ ...SMALL, ...whole }), await latentsOf(plain)];
    await pipeline.setLoras([]);
    device.resetCounts();
    expect(relativeL2(with_, alone)).toBeLessThan(1e-6);
    expect(relativeL2(before, alone)).toBeGreaterThan(1e-3);
    expect(await latentsOf({ ...plain, regions: [] })).toEqual(before);
    expect(device.counts.dispatches).toBe(dispatches);
  });

  it.each<[string, Partial<GenerateOptions>, RegExp]>([
    ["no prompt", { regions: [{ prompt: " ", area: ALL }] }, /region 1 has no prompt/],
    [
      "beyond the picture",
      { regions: [{ prompt: "a", area: [16, 0, 24, 24] }] },
      /"a" lies at 16,0,24,24, from 16,0 to 40,24, beyond the picture, which goes from 0,0 to 32,24 in pixels/,
    ],
    ["no area", { regions: [{ prompt: "a", area: [0, 0, 0, 1] }] }, /has no area/],
    [
      "mixed units",
      { regions: [{ prompt: "a", area: [0.5, 0, 16, 24] }] },
      /four fractions from 0 to 1, or four whole numbers of pixels/,
    ],
    ["base", { regions: [{ prompt: "a", area: ALL }], regionBase: 1.5 }, /regionBase is 1.5, expected .* 0 to 1/],
    ["base alone", { regionBase: 0.5 }, /there are none/],
  ])("are refused: %s", async (_, options, message) => {
    await expect(latentsOf({ ...SMALL, prompt: RED, ...options })).rejects.toThrow(message);
  });

  it("refuse masks that are none", async () => {
    const mask = (count: number, rgb: readonly number[]): Clip => {
      const rgba = new Uint8Array(count * 16).map((_v, i) => (i % 4 === 3 ? 255 : rgb[i % 4]!));
      return { width: 2, height: 2, count, rgba };
    };
    const run = (area: Clip) => latentsOf({ ...SMALL, prompt: RED, regions: [{ prompt: "a", area }] });
    await expect(run(mask(1, [0, 0, 0]))).rejects.toThrow(/black everywhere/);
    await expect(run(mask(1, [200, 40, 40]))).rejects.toThrow(/has colours \(200, 40, 40\), expected a grey picture/);
    await expect(run(mask(2, [255, 255, 255]))).rejects.toThrow(/2 pictures for 5 frames/);
  });
});
