// Image to video with AnimateLCM-I2V's encoder (test/reference/pipelines_i2v.py).

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../src/gpu/device.js";
import { matchColours } from "../../src/io/colour-match.js";
import { openFolder } from "../../src/io/node-file.js";
import type { AnimateDiffPipeline } from "../../src/pipelines/animatediff.js";
import { loadPipeline } from "../../src/pipelines/load.js";
import type { GenerateOptions } from "../../src/pipelines/options.js";
import { sinusoid } from "../../src/models/unet/motion.js";
import { Tensor } from "../../src/tensor/tensor.js";
import { expectClose, f32Tolerance, relativeL2 } from "../support/allclose.js";
import { clipOf, last, psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { Fixture, fixturePath } from "../support/fixtures.js";

let device: Device;
let fixture: Fixture;
let pipeline: AnimateDiffPipeline;
beforeAll(async () => {
  device = await testDevice();
  fixture = await Fixture.open("pipelines-i2v.safetensors");
  const [model, motion] = [await openFolder(fixturePath("tiny-a")), await openFolder(fixturePath("tiny-a-i2v"))];
  ({ pipeline } = await loadPipeline(device, { model, motion, precision: "f32" }));
});
afterAll(() => pipeline.dispose());

describe("image to video", () => {
  it("makes the reference's pictures in f32, by AnimateLCM-I2V's own defaults: also 32 frames, in windows, under FreeNoise", async () => {
    const cases = Object.entries(fixture.json<Record<string, GenerateOptions>>("cases"));
    expect(cases.length).toBe(6);
    for (const [name, c] of cases) {
      const image = await clipOf(fixture, `${name}.in.image`);
      const e = await last(pipeline.generate({ ...c, image, colourMatch: false }));
      expect(e.settings).toMatchObject({
        betaEnd: 0.014,
        originalSteps: 200,
        motionNorm: "frame",
        guidance: c.guidance ?? 1,
      });
      expect(relativeL2(e.latents, await fixture.values(`${name}.latents`)), name).toBeLessThan(1e-4);
      expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`)), name).toBeGreaterThan(60);
    }
  });

  // f16 rounds to 2^-11, and LCM's first step multiplies the network's error by 1/√ᾱ = 42; 59 dB were measured.
  it("comes close in f16", async () => {
    if (!device.capabilities.f16) return;
    const [model, motion] = [await openFolder(fixturePath("tiny-a")), await openFolder(fixturePath("tiny-a-i2v"))];
    using half = (await loadPipeline(device, { model, motion, precision: "f16" })).pipeline;
    const all = fixture.json<Record<string, GenerateOptions>>("cases");
    for (const name of ["i2v-plain", "i2v-window"]) {
      const image = await clipOf(fixture, `${name}.in.image`);
      const e = await last(half.generate({ ...all[name]!, image, colourMatch: false }));
      expect(psnr(e.frames.rgba, await fixture.values(`${name}.frames`)), name).toBeGreaterThan(45);
    }
  });

  it("matches colours of cut-off bytes, unless told not to", async () => {
    const name = "i2v-plain";
    const c = fixture.json<Record<string, GenerateOptions>>("cases")[name]!;
    const image = await clipOf(fixture, `${name}.in.image`);
    const e = await last(pipeline.generate({ ...c, image }));
    const expected = matchColours(await clipOf(fixture, `${name}.bytes`), image);
    const rgb = expected.rgba.filter((_, i) => i % 4 !== 3);
    expect(psnr(e.frames.rgba, rgb)).toBeGreaterThan(55);
  });

  it.each(["i2v-plain", "i2v-odd"])("computes the reference's maps: %s", async (name) => {
    const { model } = pipeline.parts.imageEncoder!;
    expect(model.config).toEqual({ inChannels: 4, channels: [16, 40], blocks: 2 });
    const { motionScale = 0.8 } = fixture.json<Record<string, GenerateOptions>>("cases")[name]!;
    const { values, shape } = await fixture.channelsLast(`${name}.z`);
    const positions = sinusoid(2, 16).map((v) => v * motionScale);
    const maps = device.scope(() => {
      const twice = Tensor.from(device, [...values, ...values], [2, ...shape.slice(1)]);
      return model.forward(twice, Tensor.from(device, positions, [2, 16]));
    });
    for (const [level, map] of maps.entries()) {
      using _ = map;
      const expected = await fixture.channelsLast(`${name}.features.${level}`);
      expect(map.shape).toEqual(expected.shape);
      expectClose(await map.read(), expected.values, f32Tolerance(9 * 40));
    }
  });

  it("names both sides where picture and encoder do not come together", async () => {
    const image = await clipOf(fixture, "i2v-plain.in.image");
    const small = { prompt: "a red circle", frames: 2, width: 16, height: 16, steps: 1 };
    await expect(last(pipeline.generate(small))).rejects.toThrow(
      /tiny-a-i2v.* carries an image encoder, .* no picture is given/,
    );
    const model = await openFolder(fixturePath("tiny-a"));
    const { pipeline: plain } = await loadPipeline(device, { model, precision: "f32" });
    using _ = plain;
    await expect(last(plain.generate({ ...small, image }))).rejects.toThrow(
      /takes motion modules with an image encoder .*, but .*tiny-a\/motion_adapter.* has none/,
    );
    await expect(last(plain.generate({ ...small, motionScale: 1 }))).rejects.toThrow("there is no picture");
    const other = loadPipeline(device, {
      model: await openFolder(fixturePath("tiny-b")),
      motion: await openFolder(fixturePath("tiny-a-i2v")),
      precision: "f32",
    });
    await expect(other).rejects.toThrow(/motion modules for widths \[16, 40\] do not fit this UNet's \[12, 24, 32\]/);
  });
});
