// The studio under bad conditions: a lost device, a dead worker, a hidden tab.

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

describe.skipIf(skipped)("studio under bad conditions", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());

  const working = (page: Page) => page.getByText(/^(Reading the sentence|Step \d)/).waitFor();
  const again = (page: Page) =>
    page.getByText(/^The graphics adapter was lost and has been opened again; the clip goes on (from its|after step)/);
  const loseAdapter = (page: Page) => page.getByRole("button", { name: /^Adapter/ }).click();

  it("goes on when the device is lost, fails at the second loss, outlives its worker, and tells it in the title", async () => {
    const { page, close } = await studio.open();
    await page.goto(linkTo(studio.address, { ...SMALL, steps: 6, prompt: "a green heart shrinking on the sea" }));
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await working(page);
    await loseAdapter(page);
    await again(page).waitFor();
    await working(page);
    await loseAdapter(page);
    await page.getByText("It was reset and has been opened again").waitFor();

    await page.getByRole("button", { name: "Run it again" }).click();
    await working(page);
    for (const worker of page.workers())
      await worker.evaluate(() => {
        setTimeout(() => {
          throw new Error("a fault");
        });
      });
    await page.getByText("It was started anew").waitFor();
    expect(await page.title()).toBe("Kineograph Studio"); // it is seen on the page

    await page.getByRole("button", { name: "Run it again" }).click();
    await working(page);
    expect(await page.title()).toMatch(/^\d+ % – Kineograph Studio$/);
    await loseAdapter(page);
    await again(page).last().waitFor();
    await hide(page, true);
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    expect(await page.title()).toBe("✓ Done – Kineograph Studio");
    await hide(page, false);
    expect(await page.title()).toBe("Kineograph Studio");
    await close();
  });

  it("loads anew when the device is lost while it loads", async () => {
    const { page, close } = await studio.open();
    await page.goto(linkTo(studio.address, { ...SMALL, prompt: "a red star growing at sunset" }));
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText(/^Loading the/).waitFor();
    await loseAdapter(page);
    await again(page).waitFor();
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    await close();
  });
});

/** Makes the page take itself for hidden, or shown. */
function hide(page: Page, hidden: boolean): Promise<void> {
  return page.evaluate((to) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => to });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
}
