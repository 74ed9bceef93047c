// axe's findings on a page, in light and in dark, short enough to read in a failed test.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

// The page's policy allows no inline scripts: the source goes in by evaluation.
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Axe {
  run(): Promise<{
    readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
  }>;
}

/** Each violation as "theme, rule: element". */
export async function axeViolations(page: Page): Promise<string[]> {
  // What a resting pointer shows is not part of the view, nor are colours on their way from one theme to the other.
  await page.mouse.move(0, 0);
  await page.getByRole("tooltip").waitFor({ state: "hidden" });
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { dataset } = document.documentElement;
    const before = dataset["theme"];
    const all: string[] = [];
    for (const theme of ["light", "dark"]) {
      dataset["theme"] = theme;
      const { violations } = await (globalThis as unknown as { axe: Axe }).axe.run();
      all.push(...violations.flatMap((v) => v.nodes.map((n) => `${theme}, ${v.id}: ${n.html.slice(0, 160)}`)));
    }
    dataset["theme"] = before;
    return all;
  });
  await page.emulateMedia({ reducedMotion: null });
  return found;
}
