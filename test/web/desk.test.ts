// Videos and strips of clips, in the browser that makes and reads them.

import { fileURLToPath } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CHROMIUM, skipped } from "./browser.js";
import type * as parts from "./desk-page.js";

describe.skipIf(skipped)("pictures in the browser", () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    const built = (await build({
      configFile: false,
      logLevel: "error",
      build: {
        write: false,
        target: "es2022",
        lib: { entry: fileURLToPath(new URL("desk-page.ts", import.meta.url)), formats: ["iife"], name: "parts" },
      },
    })) as Rolldown.RolldownOutput[];
    browser = await chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
    page = await browser.newPage();
    await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html>" }));
    await page.goto("http://localhost/"); // codecs want a secure place
    await page.addScriptTag({ content: built[0]!.output[0].code });
  });
  afterAll(() => browser.close());

  const call = <R>(body: (p: typeof parts, value: never) => Promise<R>, value?: unknown) =>
    page.evaluate(`(${String(body)})(parts, ${JSON.stringify(value)})`) as Promise<R>;

  it("turns videos as their files say: phones store portraits lying", async () => {
    expect(await call((p) => p.turned(0))).toEqual({ told: [128, 64], given: [128, 64], red: [true, false, true] });
    expect(await call((p) => p.turned(90))).toEqual({ told: [64, 128], given: [64, 128], red: [true, true, false] });
  });

  it("turns photos as their cameras say", async () => {
    expect(await call((p) => p.photo(1))).toEqual([true, false, true]);
    expect(await call((p) => p.photo(6))).toEqual([true, true, false]);
  });

  it("makes a strip of a clip's frames, of as many as there is room for", async () => {
    expect(await call((p) => p.strip(64, 64, 16))).toMatchObject({ pages: 16, width: 96 });
    const long = await call((p) => p.strip(64, 64, 700));
    expect(long).toMatchObject({ pages: 170, width: 96 });
    expect(long.last).toBeGreaterThan(245);
    expect(await call((p) => p.strip(96, 56, 120))).toMatchObject({ pages: 99, width: 165 });
  });
});
