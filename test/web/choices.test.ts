// What the controls offer is what the chosen model can do, before anything is run; and small things that people do.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encodePng } from "../../src/index.js";
import { fixturePath } from "../support/fixtures.js";
import { drop, hold, linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

const shapes = fileURLToPath(new URL("../../models/shapes/", import.meta.url));
const PATH = [
  { x: 0.2, y: 0.5, t: 0 },
  { x: 0.8, y: 0.5, t: 1 },
];

describe.skipIf(skipped)("studio's choices", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());

  const offered = (page: Page, group: string) =>
    page.getByRole("group", { name: group, exact: true }).getByRole("button").allInnerTexts();
  const choose = (page: Page, label: string, value: string) =>
    page.getByRole("combobox", { name: label, exact: true }).selectOption({ label: value });
  const chosen = (page: Page, label: string) =>
    page.getByRole("combobox", { name: label, exact: true }).locator("option:checked").innerText();

  it("offers what the model and its motion module can do, from their headers", async () => {
    const { page, errors, close } = await studio.open();
    await page.goto(linkTo(studio.address, { ...SMALL, control: "path", controlPath: PATH, steps: 3 }));
    await page.reload();
    await expect.poll(() => offered(page, "Start from")).toEqual(["Words", "A video"]);
    await page.getByRole("link", { name: "Models" }).click();
    for (const [folder, name] of [
      [fixturePath("tiny-a-i2v"), "tiny-a-i2v"],
      [join(shapes, "control-blob"), "control-blob"],
      [fixturePath("tiny-a"), "tiny-a"],
    ] as const) {
      await page.getByLabel("Model folder").setInputFiles(folder);
      await page.getByText(new RegExp(`^“${name}” is stored`, "i")).waitFor();
    }
    await page.getByRole("link", { name: "Create" }).click();
    // AnimateLCM-I2V's modules animate pictures, and nothing else.
    expect([await chosen(page, "Model"), await chosen(page, "Motion")]).toEqual(["tiny-a", "tiny-a-i2v"]);
    await expect.poll(() => offered(page, "Start from")).toEqual(["A picture"]);
    await page.getByText("Choose the picture to start from.").waitFor();
    // The demo's pictures have 128 pixels, this model's 32.
    expect(await page.getByLabel("Width", { exact: true }).inputValue()).toBe("32");
    await choose(page, "Motion", "The model's own");
    await expect.poll(() => offered(page, "Start from")).toEqual(["Words", "A video"]);
    expect(await page.getByText("Choose the picture to start from.").count()).toBe(0);

    await choose(page, "Model", "Shapes (demo)");
    await expect.poll(() => page.getByLabel("Width", { exact: true }).inputValue()).toBe("128");
    await page.getByLabel("Distilled for 4 steps", { exact: true }).waitFor();
    await page.getByRole("button", { name: "A path", exact: true }).click();
    await choose(page, "Network", "Discs (demo)");
    // The demo's network goes with the demo's model alone.
    await choose(page, "Model", "tiny-a");
    await expect
      .poll(() => page.getByRole("button", { name: "Nothing", exact: true }).getAttribute("aria-pressed"))
      .toBe("true");
    await page.getByRole("button", { name: "A path", exact: true }).click();
    expect(await chosen(page, "Network")).toBe("control-blob");
    expect(errors).toEqual([]);
    await close();
  });

  it("says which of a link's models are missing, and goes on with the demo", async () => {
    const { page, close } = await studio.open();
    await page.getByText(/^Takes .* of GPU memory/).waitFor();
    const likenesses = [{ id: "ip.safetensors", scale: 1, start: 0, end: 1 }];
    // In a page that is open already: only the fragment changes.
    await page.goto(linkTo(studio.address, { ...SMALL, prompt: "x", model: "dream.safetensors", likenesses }));
    await page.getByText("Not in this browser: dream.safetensors, ip.safetensors. Add them under Models.").waitFor();
    expect(await chosen(page, "Model")).toBe("Shapes (demo)");
    await expect.poll(() => page.getByRole("button", { name: "Generate" }).isEnabled()).toBe(true);
    await close();
  });

  it("finds what a link or a clip names before it has been read what is stored", async () => {
    const { page, errors, close } = await studio.open();
    await page.getByRole("link", { name: "Models" }).click();
    await page.getByLabel("Model folder").setInputFiles(fixturePath("tiny-a"));
    await page.getByText(/^“tiny-a” is stored/i).waitFor();
    const usage = await hold(page, "usage");
    await page.goto("about:blank");
    await page.goto(studio.address);
    await expect.poll(usage.waiting).toBe(1);
    await page.goto(linkTo(studio.address, { ...SMALL, prompt: "x", model: "tiny-a" })); // only the fragment changes
    const prompt = page.getByLabel("What does it show?");
    await expect.poll(() => prompt.inputValue()).toBe("x");
    const recipe = { prompt: "y", model: "models/tiny-a", size: "32x32" };
    const picture = { width: 8, height: 8, rgba: new Uint8Array(8 * 8 * 4) };
    await drop(page, await encodePng(picture, { kineograph: JSON.stringify(recipe) }));
    await expect.poll(usage.waiting).toBe(2);
    await usage.letGo();
    await page.getByText("Settings restored from clip.png.").waitFor();
    expect([await prompt.inputValue(), await chosen(page, "Model")]).toEqual(["y", "tiny-a"]);
    expect(await page.getByText(/^Not in this browser/).count()).toBe(0);
    expect(errors).toEqual([]);
    await close();
  });

  it("works where the browser keeps nothing", async () => {
    const { page, errors, close } = await studio.open();
    await page.addInitScript(() => {
      Object.defineProperty(globalThis, "localStorage", {
        get: () => {
          throw new DOMException("Access is denied for this document.", "SecurityError");
        },
      });
    });
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).waitFor();
    await page.getByRole("button", { name: "Dark colours" }).click();
    await page.getByRole("button", { name: "Light colours" }).waitFor();
    expect(errors).toEqual([]);
    await close();
  });

  it("ends no run by an Escape that hides a tip, saves at the clip's rate, and keeps what is deleted deleted", async () => {
    const { page, close } = await studio.open();
    const prompt = "a red star growing at sunset";
    await page.goto(linkTo(studio.address, { ...SMALL, prompt, frames: 4, steps: 4, freeInit: 2 }));
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText(/^Step \d of 8$/).waitFor(); // FreeInit runs them twice
    await page.getByLabel("Width", { exact: true }).hover();
    await page.getByRole("tooltip").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("tooltip").waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Another seed" }).waitFor();

    await page.getByLabel("Speed, as a number").fill("20");
    await page.getByLabel("Speed, as a number").blur();
    await page.reload();
    await page.locator(".history .card").getByText(prompt).click();
    await page.getByText("Save", { exact: true }).click();
    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", {
        value: { writeText: (text: string) => Promise.resolve(void (document.title = text)) },
      });
    });
    await page.getByRole("button", { name: "Copy as a command" }).click();
    await expect.poll(() => page.title()).toContain("--fps 8");

    // Deleted while it is being stored.
    await page.evaluate(() => {
      const convert = Reflect.get(OffscreenCanvas.prototype, "convertToBlob") as (
        ...options: unknown[]
      ) => Promise<Blob>;
      OffscreenCanvas.prototype.convertToBlob = async function (...options) {
        await new Promise((resolve) => setTimeout(resolve, 3000));
        return convert.apply(this, options);
      };
    });
    await page.getByRole("button", { name: "Another seed" }).click();
    const made = page.locator(".history").getByRole("button", { name: "Delete" });
    await expect.poll(() => made.count(), { timeout: 120_000 }).toBe(2);
    await made.first().click();
    await page.waitForTimeout(4000);
    const encode = await hold(page, "encode");
    await page.reload();
    await page.locator(".history .card").first().waitFor();
    expect(await page.locator(".history .card").count()).toBe(1);

    // A clip takes a while to become a video: what is set or given meanwhile holds.
    const [from, width] = [page.getByRole("region", { name: "Start from" }), page.getByLabel("Width", { exact: true })];
    const start = async (picture?: string) => {
      await width.fill("128");
      await page.getByRole("button", { name: "Start from it" }).click();
      await expect.poll(encode.waiting).toBe(1);
      if (picture !== undefined) await drop(page, await encodePng({ width: 8, height: 8, rgba: new Uint8Array(256) }));
      await expect
        .poll(() => from.locator(".source .small").allInnerTexts())
        .toEqual(picture === undefined ? [] : [picture]);
      expect(await width.inputValue()).toBe("64");
      await width.fill("96");
      await width.blur();
      await encode.letGo();
    };
    await page.locator(".history .card").getByText(prompt).click();
    await start();
    await from.getByText(`the clip “${prompt}”`).waitFor();
    expect(await width.inputValue()).toBe("96");
    await start("clip.png");
    await page.waitForTimeout(500);
    expect(await from.locator(".source .small").innerText()).toBe("clip.png");
    await close();
  });
});
