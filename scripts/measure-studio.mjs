// Measures the built studio in the system's Chromium, on its software adapter: sizes, first paint, long tasks of the page,
// time of a clip, how soon a cancelled run stops, memory after several clips. Run `npm run build` first.
//
//   node scripts/measure-studio.mjs [--clips 10] [--full]     --full: the demo's 128 × 128 × 16, else 64 × 64 × 2 for memory
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { listen, studioServer } from "../dist/src/cli/studio.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const args = process.argv.slice(2);
const clips = args.includes("--clips") ? Number(args[args.indexOf("--clips") + 1]) : 3;
const built = `${root}dist/studio/`;

const scripts = readdirSync(`${built}assets`).filter((f) => f.endsWith(".js"));
const gz = (f) => gzipSync(readFileSync(`${built}assets/${f}`), { level: 9 }).length;
// The CLIP vocabulary is data, fetched only for checkpoints in one file.
const code = scripts.filter((f) => !f.startsWith("openai-vocabulary"));
console.log("JavaScript, gzip:", Object.fromEntries(code.map((f) => [f, gz(f)])));
console.log("JavaScript in all, gzip kB:", (code.reduce((n, f) => n + gz(f), 0) / 1000).toFixed(1));

const server = studioServer(built, `${root}models/shapes`);
const address = await listen(server, 0);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-precise-memory-info"],
});
const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
await page.addInitScript(() => {
  globalThis.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => Math.round(e.duration)))).observe({
    entryTypes: ["longtask"],
  });
  const seen = new MutationObserver(() => {
    if (!document.querySelector("#prompt")) return;
    globalThis.readyToType ??= performance.now();
    seen.disconnect();
  });
  seen.observe(document, { childList: true, subtree: true });
});
/** What the browser's processes have taken so far, on Linux: CPU seconds, which a busy machine changes little; resident MB. */
const taken = () => {
  const stats = readdirSync("/proc").flatMap((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return [[pid, ...stat.slice(stat.lastIndexOf(")") + 2).split(" ")]];
    } catch {
      return []; // no process, or one that has ended
    }
  });
  const mine = new Set([String(process.pid)]);
  for (let before = 0; before < mine.size;) {
    before = mine.size;
    for (const [pid, , parent] of stats) if (mine.has(parent)) mine.add(pid);
  }
  const children = stats.filter(([pid]) => mine.has(pid) && pid !== String(process.pid));
  const sum = (...fields) => children.reduce((n, f) => n + fields.reduce((m, i) => m + Number(f[i]), 0), 0);
  return { cpu: sum(12, 13) / 100, resident: Math.round((sum(22) * 4096) / 1e6) };
};
const link = (s) => `${address}#s=${encodeURIComponent(JSON.stringify(s))}`;
await page.goto(address);
await page.waitForTimeout(2000);
console.log("ms:", {
  firstPaint: await page.evaluate(() =>
    Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime),
  ),
  readyToType: await page.evaluate(() => Math.round(readyToType)),
});

const run = async () => {
  const [start, cpu] = [Date.now(), taken().cpu];
  await page.getByRole("button", { name: "Generate" }).click();
  await page.locator('[aria-label="Clip in the making"]').waitFor();
  await page.getByRole("button", { name: "Another seed" }).waitFor({ timeout: 580_000 });
  return { wall: (Date.now() - start) / 1000, cpu: Number((taken().cpu - cpu).toFixed(1)) };
};
if (args.includes("--full")) {
  console.log("clip of 16 × 128 × 128 in 4 steps, s:", await run());
  console.log("the same again, s:", await run());
}
const small = { width: 64, height: 64, frames: 2, steps: 1, prompt: "a red star growing at sunset" };
await page.goto(link(small));
await page.reload();
await page.getByText(/^Takes .* of GPU memory/).waitFor();
await run();
const memory = async () => {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const heap = await page.evaluate(() => performance.memory.usedJSHeapSize / 1e6);
  return { heap: Number(heap.toFixed(1)), resident: taken().resident };
};
console.log("the page's heap and all processes' memory after one clip, MB:", await memory());
for (let i = 0; i < clips; i++) await run();
console.log(`the same after ${clips} more, MB:`, await memory());

await page.goto(link({ ...small, frames: 8, steps: 12 }));
await page.reload();
await page.getByRole("button", { name: "Generate" }).click();
await page.getByRole("img", { name: /^Preview/ }).waitFor({ timeout: 120_000 });
const stopped = await page.evaluate(async () => {
  const stop = [...document.querySelectorAll("button")].find((b) => b.textContent?.trim() === "Stop");
  const start = performance.now();
  stop.click();
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const shown = document.querySelector('[data-state="cancelled"]') ? performance.now() - start : Number.NaN;
  return Math.round(shown);
});
console.log("cancelled, shown after ms:", stopped);
console.log("tasks of the page over 50 ms:", await page.evaluate(() => longTasks));
await browser.close();
server.closeAllConnections();
server.close();
