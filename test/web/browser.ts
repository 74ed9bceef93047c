// The studio in a real browser: the page built from the sources, served as `kineograph studio` serves it, opened in the
// system's Chromium with its software adapter.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { build } from "vite";
import { listen, studioServer } from "../../src/cli/studio.js";
import type { StudioHub } from "../../src/cli/studio-policy.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** The system's Chromium; undefined where there is none. `CHROMIUM` names another. */
export const CHROMIUM: string | undefined =
  process.env["CHROMIUM"] ??
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));

/** Tests of the page run where there is a browser; for `.ci/run` one must be there. */
export const skipped = CHROMIUM === undefined && process.env["KINEOGRAPH_BROWSER"] !== "required";

const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** A browser and the address of the page. */
export interface Studio {
  readonly browser: Browser;
  readonly address: string;
  readonly open: (options?: BrowserContextOptions) => Promise<StudioPage>;
  readonly close: () => Promise<void>;
}

export interface StudioPage {
  readonly page: Page;
  /** What the page reported as errors. */
  readonly errors: readonly string[];
  readonly close: () => Promise<void>;
}

let built: Promise<string> | undefined;

/** The page, built once for all tests of a worker; removed when the process ends. */
function builtPage(): Promise<string> {
  return (built ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), "kineograph-studio-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    await build({
      configFile: join(root, "vite.config.ts"),
      build: { outDir: folder, emptyOutDir: true },
      logLevel: "error",
    });
    return folder;
  })());
}

/** Starts a browser; `webgpu: false` one that has no adapter. */
export async function openStudio({
  webgpu = true,
  args = [] as string[],
  hub = undefined as StudioHub | undefined,
} = {}): Promise<Studio> {
  if (CHROMIUM === undefined) throw new Error("no Chromium on this machine: install it, or name it in CHROMIUM");
  const server = studioServer(await builtPage(), join(root, "models/shapes"), hub);
  const address = await listen(server, 0);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", ...(webgpu ? WEBGPU : ["--disable-features=WebGPU"]), ...args],
  });
  return {
    browser,
    address,
    async open(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(120_000); // a software adapter on a busy machine
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      await page.goto(address);
      return { page, errors, close: () => context.close() };
    },
    async close() {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Settings that a software adapter can do: two frames of 64 × 64 in one step. */
export const SMALL = { width: 64, height: 64, frames: 2, steps: 1, seed: "7", seedLocked: true };

/** The page with these settings, as a share link opens it. */
export function linkTo(address: string, settings: object): string {
  return `${address}#s=${encodeURIComponent(JSON.stringify(settings))}`;
}

/** Drops a picture on the page. */
export async function drop(page: Page, png: Uint8Array): Promise<void> {
  await page.evaluate(
    (data) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(data)], "clip.png", { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
    },
    [...png],
  );
}

/** Calls that are held. */
export interface Held {
  readonly waiting: () => Promise<number>;
  readonly letGo: () => Promise<void>;
}

/** The page's calls of this name to its workers, which wait until they are let go; from the next opening of the page on. */
export async function hold(page: Page, name: string): Promise<Held> {
  await page.addInitScript((held) => {
    const post = Reflect.get(Worker.prototype, "postMessage") as (...message: unknown[]) => void;
    const waiting: (() => void)[] = [];
    Object.assign(globalThis, { [`waiting ${held}`]: waiting });
    Worker.prototype.postMessage = function (...message: unknown[]) {
      const go = () => post.apply(this, message);
      if ((message[0] as { name?: string }).name === held) waiting.push(go);
      else go();
    };
  }, name);
  const calls = (take: boolean) =>
    page.evaluate(
      ([held, taken]) => {
        const waiting = Reflect.get(globalThis, `waiting ${held}`) as (() => void)[];
        if (taken) for (const go of waiting.splice(0)) go();
        return waiting.length;
      },
      [name, take] as const,
    );
  return { waiting: () => calls(false), letGo: async () => void (await calls(true)) };
}
