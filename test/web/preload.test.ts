// The model is on the adapter before the first sentence is written to its end.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

describe.skipIf(skipped)("studio's first clip", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());
  const link = () => linkTo(studio.address, { ...SMALL, prompt: "a red star growing at sunset" });

  it("loads the model by itself; a run that does not wait for that shows how far it is", async () => {
    const { page, close } = await studio.open();
    await page.goto(link());
    await page.reload();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByText(/^Loading the UNet/).waitFor();
    await page.getByRole("button", { name: "Another seed" }).waitFor();

    await page.reload();
    await page.locator("[data-tip*='of weights are on it']").waitFor();
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    expect(await page.getByText(/made in /).innerText()).not.toContain("loading");
    await close();
  });

  it("stops while the model comes slowly, and what has come is not lost", async () => {
    const { page, close } = await studio.open();
    await page.goto("about:blank");
    let asked = 0;
    await page.route("**/unet/*.safetensors", async (route) => {
      asked++;
      await new Promise((resolve) => setTimeout(resolve, 17_000)); // a worker that does not stop is given up after 15 s
      await route.continue();
    });
    await page.goto(link());
    await page.getByRole("button", { name: "Generate" }).click();
    await expect.poll(() => asked).toBe(1);
    await page.getByRole("button", { name: "Stop", exact: true }).first().click();
    await page.getByRole("button", { name: "Run it again" }).click();
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    expect(asked).toBe(1);
    await close();
  });
});
