// Files given to the page whose import was cut off: gone on with where they are given again, cleaned up where they cannot be.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { axeViolations } from "./axe.js";
import { openStudio, skipped, type Studio } from "./browser.js";

const CHUNK = 16 * 2 ** 20;
/** Rows of the two matrices of a LoRA that takes its time. */
const RANK = 50_000;

describe.skipIf(skipped)("studio's imports", { timeout: 300_000 }, () => {
  let studio: Studio;
  let folder: string;
  let large: string;
  beforeAll(async () => {
    studio = await openStudio({ webgpu: false });
    folder = mkdtempSync(join(tmpdir(), "kineograph-imports-"));
    large = join(folder, "large.safetensors");
    writeLora(large);
  });
  afterAll(async () => {
    await studio.close();
    rmSync(folder, { recursive: true });
  });

  it("removes what cannot be gone on with, and nothing that another tab is writing", async () => {
    const { page, close } = await studio.open();
    const there = () =>
      page.evaluate(async () => {
        const models = await (await navigator.storage.getDirectory()).getDirectoryHandle("models", { create: true });
        const names: string[] = [];
        for await (const name of (models as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
        return names;
      });
    await page.goto(`${studio.address}/robots.txt`); // of the same origin, without the studio's tidying
    await page.evaluate(async () => {
      const root = await navigator.storage.getDirectory();
      const models = await root.getDirectoryHandle("models", { create: true });
      const old = await models.getDirectoryHandle("of-no-use", { create: true });
      await old.getDirectoryHandle("files", { create: true });
      await models.getDirectoryHandle("in-work", { create: true });
      // As another tab that is importing holds it.
      void navigator.locks.request("kineograph import in-work", () => new Promise(() => undefined));
    });
    const other = await page.context().newPage();
    await other.goto(studio.address);
    await expect.poll(there).toEqual(["in-work"]);

    // Not told as cut off while somebody holds it: another tab, or for a moment a page that was just left.
    await page.evaluate(async () => {
      const models = await (await navigator.storage.getDirectory()).getDirectoryHandle("models");
      const folder = await models.getDirectoryHandle("in-work");
      await folder.getDirectoryHandle("files", { create: true });
      const header = await (await folder.getFileHandle("import.json", { create: true })).createWritable();
      const files = [{ path: "lora.safetensors", size: 9 }];
      await header.write(JSON.stringify({ name: "lora.safetensors", form: "file", files }));
      await header.close();
    });
    await other.reload();
    await other.getByRole("link", { name: "Models" }).click();
    await other.getByText("It is being added in another tab of this page.").waitFor();
    const told = other.getByText("“lora.safetensors” was cut off while it was added; go on with it under Models.");
    expect(await told.count()).toBe(0);
    await page.goto("about:blank");
    await told.waitFor();
    await close();
  });

  it("goes on where a closed page cut an import off, and writes only what is missing", async () => {
    const { page, errors, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await cutOff(page, large);
    await page.reload();
    await page.getByText("“large.safetensors” was cut off while it was added; go on with it under Models.").waitFor();
    const card = page.locator(".model", { hasText: "large.safetensors" });
    const text = await card.locator(".muted").innerText();
    const [, there] = /^(\d+) MB of 128 MB are here\. Give the same file again, and it goes on from there\.$/.exec(
      text,
    )!;
    expect(Number(there)).toBeGreaterThanOrEqual(16);
    expect(await axeViolations(page)).toEqual([]);

    await countWrites(page);
    await page.getByLabel("Model files").setInputFiles(large);
    await page.getByText("“large.safetensors” is stored, as a LoRA, gone on with from where it was cut off.").waitFor();
    // The chunk in work when the page was closed may be written twice.
    const written = (await writes(page)) / 1e6;
    expect(written).toBeLessThan(128 - Number(there) + CHUNK / 1e6 + 1);
    await page.getByRole("button", { name: "Check large.safetensors" }).click();
    await page.getByText("“large.safetensors”: every checksum is as it was").waitFor();
    page.on("dialog", (dialog) => void dialog.accept());
    await page.getByRole("button", { name: "Delete large.safetensors" }).click();
    await expect.poll(() => page.locator(".model strong").allInnerTexts()).toEqual(["Shapes (demo)"]);
    expect(errors).toEqual([]);
    await close();
  });

  it("takes nothing of a file of the same name and size that is another", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await cutOff(page, large);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText(/^Stopped\. What is there is kept under Models/).waitFor();
    const file = openSync(large, "r+");
    writeSync(file, Uint8Array.of(1, 2, 3), 0, 3, 4000);
    closeSync(file);
    await countWrites(page);
    await page.getByLabel("Model files").setInputFiles(large);
    await page.getByText(/^“large.safetensors” is stored, as a LoRA/).waitFor();
    expect((await writes(page)) / 1e6).toBeGreaterThan(127);
    await page.getByRole("button", { name: "Check large.safetensors" }).click();
    await page.getByText("“large.safetensors”: every checksum is as it was").waitFor();
    await close();
  });
});

/** A LoRA of one layer in 128 MB, each chunk of the file another. */
function writeLora(path: string): void {
  const layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
  const bytes = RANK * 320 * 4;
  const header = JSON.stringify({
    [`${layer}.lora_A.weight`]: { dtype: "F32", shape: [RANK, 320], data_offsets: [0, bytes] },
    [`${layer}.lora_B.weight`]: { dtype: "F32", shape: [320, RANK], data_offsets: [bytes, 2 * bytes] },
  });
  const file = openSync(path, "w");
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(header.length));
  const size = 8 + header.length + 2 * bytes;
  ftruncateSync(file, size);
  writeSync(file, Buffer.concat([start, Buffer.from(header)]), 0, 8 + header.length, 0);
  for (let at = CHUNK / 2, i = 1; at < size; at += CHUNK, i++) writeSync(file, Uint8Array.of(i), 0, 1, at);
  closeSync(file);
}

/** Begins an import; returns when some of it is there, long before all of it is. */
async function cutOff(page: Page, path: string): Promise<void> {
  await page.getByLabel("Model files").setInputFiles(path);
  await page.getByText(/^\d\d MB of 128 MB/).waitFor();
}

/** Counts from now on what the page's workers write into its storage. */
async function countWrites(page: Page): Promise<void> {
  for (const worker of page.workers())
    await worker.evaluate(() => {
      const scope = globalThis as unknown as {
        written: number;
        FileSystemSyncAccessHandle: { prototype: { write: (data: Uint8Array, options: object) => number } };
      };
      scope.written = 0;
      const { prototype } = scope.FileSystemSyncAccessHandle;
      const write = prototype.write;
      prototype.write = function (data, options) {
        scope.written += data.byteLength;
        return write.call(this, data, options);
      };
    });
}

async function writes(page: Page): Promise<number> {
  const counts = page.workers().map((w) => w.evaluate(() => (globalThis as unknown as { written?: number }).written));
  return (await Promise.all(counts)).reduce<number>((n, m) => n + (m ?? 0), 0);
}
