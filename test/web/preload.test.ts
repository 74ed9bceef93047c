// The model is on the adapter before the first sentence is written to its end.

import { expect, it } from "vitest";
import { linkTo, openStudio, skipped, SMALL } from "./browser.js";

it.skipIf(skipped)(
  "loads the model by itself; a run that does not wait for that shows how far it is",
  async () => {
    const studio = await openStudio();
    try {
      const { page } = await studio.open();
      await page.goto(linkTo(studio.address, { ...SMALL, prompt: "a red star growing at sunset" }));
      await page.reload();
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByText(/^Loading the UNet/).waitFor();
      await page.getByRole("button", { name: "Another seed" }).waitFor();

      await page.reload();
      await page.locator("[data-tip*='of weights are on it']").waitFor();
      await page.getByRole("button", { name: "Generate" }).click();
      await page.getByRole("button", { name: "Another seed" }).waitFor();
      expect(await page.getByText(/made in /).innerText()).not.toContain("loading");
    } finally {
      await studio.close();
    }
  },
  300_000,
);
