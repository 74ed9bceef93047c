// Models of one's own in the browser: added, found again, checked, refused, and what happens without room.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStudio, skipped, type Studio } from "./browser.js";

const shapes = fileURLToPath(new URL("../../models/shapes/", import.meta.url));
const lora = join(shapes, "lcm-lora.safetensors");

describe.skipIf(skipped)("studio's models", { timeout: 300_000 }, () => {
  let studio: Studio;
  let folder: string;
  beforeAll(async () => {
    studio = await openStudio();
    folder = mkdtempSync(join(tmpdir(), "kineograph-models-"));
  });
  afterAll(async () => {
    await studio.close();
    rmSync(folder, { recursive: true });
  });

  it("keeps a model, a motion module and a LoRA over a reload, and generates with them", async () => {
    const { page, errors, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await page.getByLabel("Model folder").setInputFiles(join(shapes, "base"));
    await page.getByText(/^“base” is stored, as a model/).waitFor();
    await page.getByLabel("Model folder").setInputFiles(join(shapes, "motion-lcm"));
    await page.getByText(/^“motion-lcm” is stored, as a motion module/).waitFor();
    await page.getByLabel("Model files").setInputFiles(lora);
    await page.getByText(/^“lcm-lora.safetensors” is stored, as a LoRA/).waitFor();
    await page.getByRole("button", { name: "Check base" }).click();
    await page.getByText("“base”: every checksum is as it was").waitFor();

    await page.reload();
    await expect
      .poll(() => page.locator(".model strong").allInnerTexts())
      .toEqual(["Shapes (demo)", "base", "motion-lcm", "lcm-lora.safetensors"]);
    await page.getByRole("link", { name: "Create" }).click();
    const chosen = (label: string) =>
      page.getByRole("combobox", { name: label, exact: true }).locator("option:checked").innerText();
    expect(await chosen("Model")).toBe("base");
    expect(await chosen("Motion")).toBe("motion-lcm");
    await page.getByLabel("lcm-lora.safetensors", { exact: true }).waitFor();
    for (const [label, value] of [
      ["Width", "64"],
      ["Height", "64"],
      ["Frames, as a number", "2"],
      ["Steps, as a number", "1"],
    ] as const) {
      await page.getByLabel(label, { exact: true }).fill(value);
      await page.getByLabel(label, { exact: true }).blur();
    }
    await page.getByRole("button", { name: "Generate" }).click();
    await page.getByRole("button", { name: "Another seed" }).waitFor();

    await page.getByRole("link", { name: "Models" }).click();
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Delete base" }).click();
    await expect.poll(() => page.locator(".model strong").allInnerTexts()).not.toContain("base");
    expect(errors).toEqual([]);
    await close();
  });

  it("refuses what is damaged or foreign, each in a sentence", async () => {
    const whole = readFileSync(lora);
    writeFileSync(join(folder, "cut.safetensors"), whole.subarray(0, whole.length / 2));
    writeFileSync(join(folder, "page.ckpt"), "<!doctype html><title>Log in</title>");
    writeFileSync(join(folder, "notes.json"), "{}");
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    const files = page.getByLabel("Model files");
    await files.setInputFiles([join(folder, "cut.safetensors"), join(folder, "page.ckpt")]);
    await page.getByText(/^Cut\.safetensors.*(cut off|damaged|download it again)/).waitFor();
    await page.getByText(/^Page\.ckpt is no checkpoint: it is/).waitFor();
    await files.setInputFiles(join(folder, "notes.json"));
    await page.getByText("There is no model among these files").waitFor();
    expect(await page.locator(".model strong").allInnerTexts()).toEqual(["Shapes (demo)"]);
    await close();
  });

  it("says so where there is no room, and leaves nothing behind", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    const session = await page.context().newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(studio.address).origin, quotaSize: 1e6 });
    await page.getByLabel("Model files").setInputFiles(lora);
    await page.getByText(/storage is full: lcm-lora.safetensors takes 4 MB/).waitFor();
    expect(await page.locator(".model strong").allInnerTexts()).toEqual(["Shapes (demo)"]);
    await close();
  });
});
