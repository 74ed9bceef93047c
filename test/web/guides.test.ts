// IP-Adapters, key frames (SparseCtrl) and parts of the picture in the page: hidden until there is a model for them, then all
// at once, with the frames that the library gives for the same.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  encodePng,
  loadControl,
  loadIPAdapter,
  loadPipeline,
  readRecipe,
  sampleVideo,
  type Frames,
  type GenerateOptions,
  type Picture,
} from "../../src/index.js";
import { openVideo } from "../../src/io/video-file.js";
import { openFile, openFolder } from "../../src/node.js";
import { TorchGenerator } from "../../src/tensor/torch-generator.js";
import { psnr } from "../support/clips.js";
import { testDevice } from "../support/device.js";
import { fixturePath } from "../support/fixtures.js";
import { axeViolations } from "./axe.js";
import { linkTo, openStudio, skipped } from "./browser.js";

const prompt = "a cat";
const part = "a dog";
const at = [0, 3];
const SIZE = { width: 64, height: 64, frames: 4, steps: 2 };
const scales = [0.6, 0.9];

/** Blots, the same for a seed. */
function picture(seed: number, width = 64, height = 64): Picture {
  const coarse = new TorchGenerator(seed).randn(64 * 3);
  const rgba = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [Math.floor(((i % width) * 8) / width), Math.floor((Math.floor(i / width) * 8) / height)];
    for (let k = 0; k < 3; k++) rgba[4 * i + k] = Math.min(255, Math.max(0, 128 + 60 * coarse[(y * 8 + x) * 3 + k]!));
    rgba[4 * i + 3] = 255;
  }
  return { width, height, rgba };
}
const keys = [picture(1), picture(2)];
const likes = [[picture(3, 80, 56)], [picture(4), picture(5, 48, 96)]];
const adapters = ["tiny-a-ip-adapter.safetensors", "tiny-a-ip-plus.safetensors"];

async function inNode(): Promise<Frames> {
  const device = await testDevice();
  const precision = "f32";
  const model = await openFolder(fixturePath("tiny-a"));
  const { pipeline } = await loadPipeline(device, { model, precision, encoder: true });
  const network = await loadControl(device, await openFolder(fixturePath("tiny-a-sparse")), { precision });
  const imagePrompts: NonNullable<GenerateOptions["imagePrompts"]>[number][] = [];
  for (const [i, name] of adapters.entries()) {
    const [adapter, encoder] = [await openFile(fixturePath(name)), await openFolder(fixturePath("tiny-a-ip-encoder"))];
    imagePrompts.push({
      adapter: await loadIPAdapter(device, pipeline.parts.unet, { adapter, encoder, precision }),
      images: likes[i]!,
      scale: scales[i]!,
    });
  }
  const rgba = new Uint8Array(keys.flatMap((k) => [...k.rgba]));
  try {
    for await (const event of pipeline.generate({
      ...SIZE,
      prompt,
      seed: 7,
      scheduler: "lcm",
      betaSchedule: "linear",
      guidance: 1,
      controls: [{ network, frames: { width: 64, height: 64, count: 2, rgba }, at }],
      imagePrompts,
      regions: [{ prompt: part, area: [0.5, 0, 0.5, 1] }],
    }))
      if (event.type === "frames") return event.frames;
  } finally {
    for (const owned of [pipeline, network, ...imagePrompts.map((p) => p.adapter)]) owned.dispose();
  }
  throw new Error("no frames");
}

it.skipIf(skipped)(
  "shows IP-Adapters and key frames once they are imported, and makes the library's frames with them",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "kineograph-guides-"));
    const file = async (name: string, p: Picture) => {
      writeFileSync(join(folder, name), await encodePng(p));
      return join(folder, name);
    };
    const studio = await openStudio();
    try {
      const { page, errors } = await studio.open();
      const like = page.getByRole("region", { name: "Like a picture" });
      await page.goto(linkTo(studio.address, { ...SIZE, prompt, seed: "7", seedLocked: true }));
      await page.reload();
      await page.getByRole("region", { name: "Start from" }).waitFor();
      expect(await like.count()).toBe(0);
      expect(await page.getByRole("button", { name: "Frames", exact: true }).count()).toBe(0);

      await page.getByRole("link", { name: "Models" }).click();
      for (const name of ["tiny-a", "tiny-a-sparse"]) {
        await page.getByLabel("Model folder").setInputFiles(fixturePath(name));
        await page.getByText(new RegExp(`^“${name}” is stored`, "i")).waitFor();
      }
      await page.getByLabel("Model files").setInputFiles(adapters.map((name) => fixturePath(name)));
      await page.getByText(/^“tiny-a-ip-plus.safetensors” is stored, as an IP-Adapter/).waitFor();
      await page.getByRole("link", { name: "Create" }).click();
      await page.getByText("IP-Adapters see through an image encoder").waitFor();
      await page.getByRole("button", { name: "Add models" }).first().click();
      await page.getByLabel("Model folder").setInputFiles(fixturePath("tiny-a-ip-encoder"));
      await page.getByText(/^“tiny-a-ip-encoder” is stored, as an image encoder/).waitFor();
      await page.getByRole("link", { name: "Create" }).click();

      // The model came with its own size.
      for (const side of ["Width", "Height"]) {
        expect(await page.getByLabel(side, { exact: true }).inputValue()).toBe("32");
        await page.getByLabel(side, { exact: true }).fill("64");
        await page.getByLabel(side, { exact: true }).blur();
      }

      const action = page.getByRole("button", { name: "Generate" });
      await page.getByText("Choose the picture for frame 0.").waitFor();
      await page.getByRole("button", { name: "Another frame" }).click();
      for (const [i, key] of keys.entries())
        await page.getByLabel(`Picture ${i + 1}`, { exact: true }).setInputFiles(await file(`key-${i}.png`, key));
      expect(await page.getByLabel("Frame of picture 2").inputValue()).toBe("3");
      await page.getByText("Choose the picture that it should be like.").waitFor();
      expect(await action.isDisabled()).toBe(true);
      for (const [a, name] of adapters.entries()) {
        const group = like.getByRole("group", { name });
        for (const [i, p] of likes[a]!.entries())
          await group.getByLabel(`Picture ${i + 1} for ${name}`).setInputFiles(await file(`like-${a}-${i}.png`, p));
        await group.getByLabel("Likeness, as a number").fill(String(scales[a]));
        await group.getByLabel("Likeness, as a number").blur();
      }
      await page.getByRole("button", { name: "There…" }).click();
      await page.getByLabel("Sentence of part 1").fill(part);
      await page.getByText(/^Takes .* of GPU memory/).waitFor();
      expect(await axeViolations(page)).toEqual([]);
      await action.click();
      await page.getByRole("button", { name: "Another seed" }).waitFor();
      await page.getByText("Save", { exact: true }).click();
      const download = page.waitForEvent("download");
      await page.getByRole("button", { name: /^Animated PNG/ }).click();
      const saved = join(folder, "clip.png");
      await (await download).saveAs(saved);
      const recipe = await readRecipe(new Uint8Array(readFileSync(saved)));
      expect(recipe).toMatchObject({
        control: ["tiny-a-sparse=key-0.png,key-1.png@0,3:1"],
        ipAdapter: adapters,
        ipEncoder: ["tiny-a-ip-encoder"],
        ipImage: ["like-0-0.png", "like-1-0.png,like-1-1.png"],
        ipScale: ["0.6", "0.9"],
        region: [`0.5,0,0.5,1:${part}`],
      });
      const made = await sampleVideo(await openVideo(saved), { fps: 8, frames: SIZE.frames });
      const expected = await inNode();
      const rgb = expected.rgba.filter((_, i) => i % 4 !== 3);
      expect(psnr(made.rgba, rgb)).toBeGreaterThan(50);
      expect(errors).toEqual([]);
    } finally {
      await studio.close();
      rmSync(folder, { recursive: true });
    }
  },
  300_000,
);
