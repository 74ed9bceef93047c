// The same frames in the browser as in Node for the same seed: two adapters, one result.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { loadPipeline, type Frames } from "../../src/index.js";
import { decodePng } from "../../src/io/png-reader.js";
import { openFile, openFolder } from "../../src/node.js";
import { testDevice } from "../support/device.js";
import { linkTo, openStudio, skipped, SMALL } from "./browser.js";

const shapes = fileURLToPath(new URL("../../models/shapes/", import.meta.url));
const prompt = "a purple square moving right at sunset";

async function inNode(): Promise<Frames> {
  const { pipeline } = await loadPipeline(await testDevice(), {
    model: await openFolder(`${shapes}base`),
    motion: await openFolder(`${shapes}motion-lcm`),
    loras: [{ source: await openFile(`${shapes}lcm-lora.safetensors`), weight: 1 }],
    precision: "f32",
  });
  try {
    const { width, height, frames, steps } = SMALL;
    for await (const event of pipeline.generate({ prompt, seed: 7, width, height, frames, steps }))
      if (event.type === "frames") return event.frames;
  } finally {
    pipeline.dispose();
  }
  throw new Error("no frames");
}

function psnr(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  const squares = a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);
  return 10 * Math.log10(255 ** 2 / (squares / a.length));
}

it.skipIf(skipped)(
  "gives Node's frames, at 50 dB or more across adapters",
  async () => {
    const expected = await inNode();
    const studio = await openStudio();
    try {
      const { page } = await studio.open();
      await page.goto(linkTo(studio.address, { ...SMALL, prompt, precision: "f32" }));
      await page.reload();
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByRole("button", { name: "Another seed" }).waitFor();
      await page.getByRole("button", { name: "Pause" }).click();
      for (const frame of [0, 1]) {
        await page.getByRole("slider", { name: "Frame", exact: true }).fill(String(frame));
        await page.getByText("Save", { exact: true }).click();
        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: /^This frame/ }).click();
        const { rgba } = decodePng(new Uint8Array(readFileSync(await (await download).path())));
        const bytes = rgba.length;
        expect(psnr(rgba, expected.rgba.subarray(frame * bytes, (frame + 1) * bytes))).toBeGreaterThan(50);
      }
    } finally {
      await studio.close();
    }
  },
  300_000,
);
