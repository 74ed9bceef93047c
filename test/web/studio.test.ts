// The studio as people use it: generate, watch, cancel, keep, restore; what it says where it cannot work.

import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRecipe } from "../../src/io/recipe.js";
import { axeViolations } from "./axe.js";
import { drop, linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

describe.skipIf(skipped)("studio", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());

  it("generates with a preview, saves with the recipe, and restores it", async () => {
    const { page, errors, close } = await studio.open();
    const prompt = "a blue circle moving up on a meadow";
    await page.goto(linkTo(studio.address, { ...SMALL, prompt }));
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("img", { name: `Preview: ${prompt}` }).waitFor();
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    expect(await page.locator(".history .card .what").allInnerTexts()).toEqual([prompt]);
    expect(await axeViolations(page)).toEqual([]);

    // A page that was picked while they turn stays, however busy the browser is.
    const [picked, shown] = await page.evaluate(async () => {
      const slider = document.querySelector<HTMLInputElement>(".filmstrip input")!;
      const before = slider.value;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      for (const end = performance.now() + 125; performance.now() < end;); // a page's time
      await new Promise((resolve) => setTimeout(resolve, 500));
      return [before, slider.value];
    });
    expect(shown).toBe(picked);

    await page.getByText("Save", { exact: true }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: /^Animated PNG/ }).click();
    const file = await (await download).path();
    const recipe = await readRecipe(new Uint8Array(readFileSync(file)));
    expect(recipe).toMatchObject({ prompt, seed: 7, steps: 1, frames: 2, size: "64x64", scheduler: "lcm" });

    await page.getByText("Save", { exact: true }).click();
    const picture = page.waitForEvent("download");
    await page.getByRole("button", { name: /^WebP/ }).click();
    const webp = await (await picture).path();
    expect(await readRecipe(new Uint8Array(readFileSync(webp)))).toEqual(recipe);

    await page.getByText("Save", { exact: true }).click();
    const video = page.waitForEvent("download");
    await page
      .getByRole("button", { name: /^(MP4|WebM) video/ })
      .first()
      .click();
    const movie = await (await video).path();
    expect(await framesShown(page, readFileSync(movie))).toEqual({ count: 2, width: 64, height: 64, seconds: 0.25 });

    await page.getByLabel("What does it show?").fill("something else");
    await drop(page, readFileSync(file));
    await expect.poll(() => page.getByLabel("What does it show?").inputValue()).toBe(prompt);

    await page.reload();
    await page.locator(".history .card").getByText(prompt).click();
    await page.getByRole("img", { name: prompt, exact: true }).waitFor();

    const next = "a red heart moving up on a meadow";
    await page.getByRole("button", { name: "Start from it" }).click();
    await page.getByRole("region", { name: "Start from" }).getByText(`the clip “${prompt}”`).waitFor();
    // One step runs at strength 1 alone.
    await page.getByLabel("Strength, as a number").fill("1");
    await page.getByLabel("What does it show?").fill(next);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("img", { name: next, exact: true }).waitFor();
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    await page.locator(".history .card").getByText(prompt).click();
    await page.getByRole("row", { name: /initVideo/ }).waitFor();
    expect(await axeViolations(page)).toEqual([]);

    await page.getByRole("button", { name: "Four seeds" }).click();
    await page.getByRole("article", { name: "Clips that differ in their seed" }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole("button", { name: "Stop all of them" }).click();

    await page.getByRole("link", { name: "Learn", exact: true }).click();
    await page.getByRole("combobox", { name: "A word to watch" }).selectOption("heart");
    await page.getByRole("button", { name: "Run and watch" }).click();
    await page.getByRole("img", { name: "“heart” in frame 1" }).waitFor();
    await page.getByRole("button", { name: "Run and watch" }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    expect(errors).toEqual([]);
    await close();
  });

  it("cancels within 200 ms and goes on working", async () => {
    const { page, errors, close } = await studio.open();
    await page.goto(linkTo(studio.address, { ...SMALL, frames: 8, steps: 8, prompt: "a red star growing at sunset" }));
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("img", { name: /^Preview/ }).waitFor();
    const taken = await page.evaluate(async () => {
      const stop = [...document.querySelectorAll("button")].find((b) => b.textContent?.trim() === "Stop")!;
      const start = performance.now();
      stop.click();
      const { port1, port2 } = new MessageChannel();
      while (document.querySelector('[data-state="cancelled"]') === null)
        await new Promise((resolve) => {
          port1.onmessage = resolve;
          port2.postMessage(undefined);
        });
      return performance.now() - start;
    });
    expect(taken).toBeLessThan(200);
    await page.getByRole("button", { name: "Run it again" }).waitFor();
    expect(errors).toEqual([]);
    await close();
  });

  it("follows a drawn path, which the file's recipe draws again", async () => {
    const { page, errors, close } = await studio.open();
    const prompt = "a green heart moving up on a meadow";
    await page.goto(linkTo(studio.address, { ...SMALL, prompt }));
    await page.reload();
    await page.getByRole("button", { name: "A path", exact: true }).click();
    expect(await page.getByRole("button", { name: "Generate" }).isDisabled()).toBe(true);
    const box = (await page.getByRole("img", { name: "No path yet" }).boundingBox())!;
    await page.mouse.move(box.x + box.width / 4, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + (3 * box.width) / 4, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await page.getByText("Points", { exact: true }).click();
    await page.getByLabel("From top of point 1").fill("75");
    await page.getByLabel("From top of point 1").blur();
    await page.getByLabel("Detail").selectOption("guess");
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("img", { name: prompt, exact: true }).waitFor();
    await page.getByText("Save", { exact: true }).click();
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: /^Animated PNG/ }).click();
    const recipe = await readRecipe(new Uint8Array(readFileSync(await (await download).path())));
    expect(recipe).toMatchObject({ control: ["models/shapes/control-blob=a drawn path:1"], controlGuess: true });
    expect((recipe["controlPath"] as string[])[0]).toMatch(/^0\.25,0\.75,0$/);
    expect(errors).toEqual([]);
    await close();
  });

  it("does not scroll sideways on a phone", async () => {
    const { page, close } = await studio.open({ viewport: { width: 390, height: 800 }, hasTouch: true });
    for (const name of ["Create", "Models", "Learn"]) {
      await page.getByRole("link", { name, exact: true }).click();
      expect(await page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(390);
    }
    await close();
  });
});

/** A video as the browser plays it. */
async function framesShown(page: Page, bytes: Buffer): Promise<object> {
  return page.evaluate(async (base64) => {
    const video = document.createElement("video");
    video.muted = true;
    video.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))]));
    const ended = new Promise((resolve, reject) => {
      video.addEventListener("ended", resolve);
      video.addEventListener("error", () => reject(new Error(video.error?.message ?? "the video does not play")));
    });
    await video.play();
    await ended;
    const { videoWidth: width, videoHeight: height, duration: seconds } = video;
    return { count: video.getVideoPlaybackQuality().totalVideoFrames, width, height, seconds };
  }, bytes.toString("base64"));
}

describe.skipIf(skipped)("studio without WebGPU", () => {
  it("says what helps in this browser", async () => {
    const studio = await openStudio({ webgpu: false });
    const { page, close } = await studio.open();
    await page.getByRole("heading", { name: /No WebGPU yet|No graphics adapter/ }).waitFor();
    expect(await page.locator(".help li").count()).toBeGreaterThan(0);
    expect(await page.getByRole("button", { name: "Generate" }).isDisabled()).toBe(true);
    expect(await axeViolations(page)).toEqual([]);
    await close();
    await studio.close();
  });
});
