// What one types counts once the field is left, whatever the page does meanwhile: it opens, it restores, another control changes.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hold, linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

describe.skipIf(skipped)("studio's fields", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());

  const settings = (page: Page) =>
    page.evaluate(() => JSON.parse(localStorage.getItem("kineograph.settings") ?? "{}") as object);
  /** Presses a button by code, which moves no focus, and waits until the page has been drawn anew. */
  const press = (page: Page, label: string) =>
    page.evaluate(async (name) => {
      const buttons = [...document.querySelectorAll("button")];
      buttons.find((b) => (b.getAttribute("aria-label") ?? b.textContent.trim()) === name)!.click();
      for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
    }, label);

  it("keep what is being typed while another setting changes", async () => {
    const { page, errors, close } = await studio.open();
    const link = linkTo(studio.address, {
      ...SMALL,
      frames: 8,
      mode: "video",
      travel: [{ frame: 2, text: "a star" }],
      regions: [{ text: "a heart", x: 0.5, y: 0, width: 0.5, height: 1 }],
      control: "path",
      controlPath: [{ x: 0.2, y: 0.5, t: 0 }],
    });
    await page.goto(link);
    await page.reload();
    await page.getByText("Points", { exact: true }).click();
    await page.getByText("Places in numbers").click();
    for (const [label, text, saved] of [
      ["Strength, as a number", "0.35", { strength: 0.35 }],
      ["Seed", "18446744073709551615", { seed: "18446744073709551615" }],
      ["Width", "192", { width: 192 }],
      ["Frame of sentence 2", "5", { travel: [{ frame: 5, text: "a star" }] }],
      ["Left of part 1, per cent", "25", { regions: [{ text: "a heart", x: 0.25, y: 0, width: 0.5, height: 1 }] }],
      ["From top of point 1", "75", { controlPath: [{ x: 0.2, y: 0.75, t: 0 }] }],
    ] as const) {
      const field = page.getByLabel(label, { exact: true }).last();
      await field.fill(text);
      await press(page, "Keep the seed");
      expect.soft(await field.inputValue(), label).toBe(text);
      await field.blur();
      expect.soft(await settings(page), label).toMatchObject(saved);
      expect.soft(await field.inputValue(), label).toBe(text);
    }
    expect(errors).toEqual([]);
    await close();
  });

  it("keep what is being typed while the page opens", async () => {
    const { page, errors, close } = await studio.open();
    const limits = await hold(page, "limits"); // what the model can do comes when the rest has
    await page.goto(linkTo(studio.address, { ...SMALL, mode: "video" }));
    await page.reload();
    await expect.poll(limits.waiting).toBe(1);
    await page.getByLabel("Strength, as a number").fill("1");
    const most = () => page.getByLabel("Frames", { exact: true }).getAttribute("max");
    expect(await most()).toBe("32");
    await limits.letGo();
    await expect.poll(most).toBe("64");
    await page.getByLabel("What does it show?").fill("a red heart moving up on a meadow");
    expect(await settings(page)).toMatchObject({ strength: 1 });
    expect(errors).toEqual([]);
    await close();
  });

  it("take back what is no number or by Escape, and yield to what changes the same number", async () => {
    const { page, errors, close } = await studio.open();
    await page.goto(linkTo(studio.address, SMALL));
    await page.reload();
    const seed = page.getByRole("textbox", { name: "Seed" });
    const width = page.getByLabel("Width", { exact: true });
    for (const [field, text, kept] of [
      [seed, "none", "7"],
      [width, "", "64"],
      [width, "1", "64"],
      [width, "70", "72"],
    ] as const) {
      await field.fill(text);
      await field.press("Enter");
      expect.soft(await field.inputValue(), text).toBe(kept);
      await field.fill(text);
      await press(page, "Keep the seed");
      await field.blur();
      expect.soft(await field.inputValue(), text).toBe(kept);
    }
    await width.fill("96");
    await width.press("Escape");
    expect(await width.inputValue()).toBe("72");
    await width.blur();
    expect(await settings(page)).toMatchObject({ width: 72 });

    await seed.fill("55");
    await press(page, "New seed");
    const drawn = await seed.inputValue();
    expect(drawn).not.toBe("55");
    await seed.blur();
    expect(await settings(page)).toMatchObject({ seed: drawn });
    expect(errors).toEqual([]);
    await close();
  });
});
