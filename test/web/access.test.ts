// The studio for everybody: axe on the views and states that other tests do not pass through, and the way from a sentence to a
// saved clip by keyboard alone.

import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { axeViolations } from "./axe.js";
import { linkTo, openStudio, skipped, SMALL, type Studio } from "./browser.js";

const lora = fileURLToPath(new URL("../../models/shapes/lcm-lora.safetensors", import.meta.url));

describe.skipIf(skipped)("studio for everybody", { timeout: 300_000 }, () => {
  let studio: Studio;
  beforeAll(async () => {
    studio = await openStudio();
  });
  afterAll(() => studio.close());

  it("has no accessibility violations in any state, in light and dark", async () => {
    const { page, close } = await studio.open();
    const check = async (state: string) => expect(await axeViolations(page), state).toEqual([]);
    const tab = (name: string) => page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name: "A sentence becomes an animation" }).waitFor();
    await check("first visit");

    const half = { y: 0, width: 0.5, height: 1 };
    const regions = [
      { text: "a star", x: 0, ...half },
      { text: "", x: 0.5, ...half },
    ];
    const travel = [{ frame: 8, text: "a heart" }];
    await page.goto(linkTo(studio.address, { ...SMALL, regions, travel, frames: 32, course: "loop", mode: "video" }));
    await page.reload();
    await page.getByText("Places in numbers").click();
    await page.getByText("Advanced", { exact: true }).click();
    await page.getByRole("button", { name: "Pictures", exact: true }).click();
    await page.getByText("When", { exact: true }).click();
    await page.getByText("Write what part 2 shows, or take it out.").waitFor();
    await check("every fold open, something missing");

    await refuseTrials(page);
    await page.getByRole("button", { name: "Take out part 2" }).click();
    await page.getByText("Choose the video to start from.").waitFor();
    await page.getByRole("button", { name: "Words", exact: true }).click();
    await page.getByRole("button", { name: "Nothing", exact: true }).click();
    await page.getByLabel("Width", { exact: true }).fill("2048");
    await page.getByLabel("Height", { exact: true }).fill("2048");
    await page.getByLabel("Height", { exact: true }).blur();
    await page.getByText(/^Too big for this GPU.*These would fit/).waitFor();
    await check("too big");

    await tab("Models");
    const session = await page.context().newCDPSession(page);
    const { origin } = new URL(studio.address);
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1e6 });
    await page.getByLabel("Model files").setInputFiles(lora);
    await page.getByText(/storage is full/).waitFor();
    await check("models, an error");
    await session.send("Storage.overrideQuotaForOrigin", { origin });
    await page.getByLabel("Model files").setInputFiles(lora);
    await page.getByText(/is stored, as a LoRA/).waitFor();
    await check("models, one stored");

    await tab("Learn");
    await page.getByRole("heading", { name: "What happens inside" }).waitFor();
    await check("learn");
    await close();
  });

  it("is used by keyboard alone: generate, stop, generate, save; where the focus is can always be seen", async () => {
    const { page, errors, close } = await studio.open();
    const prompt = "a pink circle growing on the sea";
    await page.goto(linkTo(studio.address, { ...SMALL, frames: 4, steps: 3, prompt: "" }));
    await page.reload();
    await page.getByText("Write what it shows.").waitFor();
    await reach(page, "prompt");
    await page.keyboard.type(prompt);
    await page.getByText(/^Takes .* of GPU memory/).waitFor();
    await page.keyboard.press("Control+Enter");
    await page.getByText(/^(Reading the sentence|Step 1)/).waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Run it again" }).waitFor();
    await reach(page, "Run it again");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Another seed" }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await reach(page, "Save");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Animated PNG/ }).waitFor();
    expect(await axeViolations(page), "save menu").toEqual([]);
    await page.keyboard.press("Escape");
    expect(await page.getByRole("button", { name: /^Animated PNG/ }).isVisible()).toBe(false);
    await page.keyboard.press("Enter");
    const download = page.waitForEvent("download");
    await reach(page, "Animated PNG");
    await page.keyboard.press("Enter");
    expect((await download).suggestedFilename()).toBe("a-pink-circle-growing-on-the-sea-7.png");
    expect(errors).toEqual([]);
    await close();
  });

  it("moves, sizes and takes out parts of the picture by keys", async () => {
    const { page, close } = await studio.open();
    const half = { y: 0, width: 0.5, height: 1 };
    await page.goto(linkTo(studio.address, { ...SMALL, regions: [{ text: "a star", x: 0.5, ...half }] }));
    await page.reload();
    const part = page.getByRole("button", { name: /^Part 1/ });
    await reach(page, "Part 1");
    await page.keyboard.press("Shift+ArrowUp");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowLeft");
    expect(await part.getAttribute("aria-label")).toBe("Part 1: 45 to 95 % across, 5 to 100 % down");
    await page.keyboard.press("Enter");
    await expect
      .poll(() => page.evaluate(() => document.activeElement?.getAttribute("aria-label")))
      .toBe("Sentence of part 1");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Delete");
    expect(await part.count()).toBe(0);
    await close();
  });
});

/** Tabs on until an element of this id, or whose text or label begins so, has the focus; each stop on the way must show it. */
async function reach(page: Page, wanted: string): Promise<void> {
  for (let i = 0; i < 120; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const el = document.activeElement as HTMLElement;
      // The slider over the frames is invisible: its strip shows the focus.
      const shows = getComputedStyle(el.closest<HTMLElement>(".filmstrip") ?? el);
      const name = el.getAttribute("aria-label") ?? el.textContent.trim();
      return { id: el.id, name, seen: shows.outlineStyle !== "none" && shows.outlineWidth !== "0px" };
    });
    if (at.id === "" && at.name === "") continue; // the browser's own
    expect(at.seen || at.id === "app" || at.id === "content", `${at.id} ${at.name.slice(0, 40)} shows the focus`).toBe(
      true,
    );
    if (at.id === wanted || at.name.startsWith(wanted)) return;
  }
  throw new Error(`${wanted} cannot be reached by the Tab key`);
}

/** As of now the adapter gives 1 GiB of memory when it is tried, and no more. */
async function refuseTrials(page: Page): Promise<void> {
  for (const worker of page.workers())
    await worker.evaluate(() => {
      const prototype = (globalThis as { GPUDevice?: { prototype: GPUDevice } }).GPUDevice?.prototype;
      if (!prototype) return;
      const create = Reflect.get(prototype, "createBuffer");
      const pop = Reflect.get(prototype, "popErrorScope");
      let tried = 0;
      prototype.createBuffer = function createBuffer(d) {
        if (d.label === "trial") tried++;
        return create.call(this, d);
      };
      prototype.popErrorScope = async function popErrorScope() {
        const error = await pop.call(this);
        return tried > 4 ? new GPUOutOfMemoryError("none left") : error;
      };
    });
}
