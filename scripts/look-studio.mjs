// Pictures of the studio in all its main states, light and dark, on a phone and on a wide screen: to be looked at after every change
// of its looks. Drives the built page (npm run build) in the system's Chromium on its software adapter; takes some minutes,
// for it makes real clips.
//
//   node scripts/look-studio.mjs <folder> [state…]     states: see below; without any, all of them. --small: small clips, sooner
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { listen, studioServer } from "../dist/src/cli/studio.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const args = process.argv.slice(2);
const small = args.includes("--small");
const [folder = "studio-looks", ...only] = args.filter((a) => !a.startsWith("--"));
mkdirSync(folder, { recursive: true });

const THEMES = ["light", "dark"];
const WIDTHS = [
  { width: 1440, height: 900 },
  { width: 390, height: 844 },
];
const RUN = small ? { width: 64, height: 64, frames: 4, steps: 2 } : {};
const PROMPT = "a red star moving left on a night sky";

const server = studioServer(`${root}dist/studio/`, `${root}models/shapes`);
const address = await listen(server, 0);
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", ...WEBGPU] });
const context = await browser.newContext({ viewport: WIDTHS[0] });
const page = await context.newPage();
page.setDefaultTimeout(240_000);
page.on("dialog", (dialog) => void dialog.accept());

/** The page as it is now, in every theme and width. On a phone the whole of it, however long. */
async function shoot(name, on = page) {
  for (const size of WIDTHS) {
    await on.setViewportSize(size);
    await on.mouse.move(0, 0);
    for (const theme of THEMES) {
      await on.evaluate((t) => (document.documentElement.dataset.theme = t), theme);
      await on.waitForTimeout(250);
      const path = join(folder, `${name}-${size.width}-${theme}.png`);
      await on.screenshot({ path, fullPage: size.width < 760, animations: "disabled" });
    }
  }
  await on.setViewportSize(WIDTHS[0]);
  console.log(name);
}

const wanted = (name) => only.length === 0 || only.includes(name);
const button = (name, exact = true) => page.getByRole("button", { name, exact });
const tab = (name) => page.getByRole("link", { name, exact: true }).click();
async function open(settings = {}) {
  const kept = { prompt: PROMPT, seed: "7", seedLocked: true, ...RUN, ...settings };
  await page.goto(`${address}/robots.txt`);
  await page.goto(`${address}#s=${encodeURIComponent(JSON.stringify(kept))}`);
  await page.getByText(/^Takes .* of GPU memory/).waitFor();
}
async function clip() {
  await button("Generate").click();
  await button("Another seed").waitFor();
}
/** Drops a file's bytes on the page. */
async function drop(name, path) {
  await page.evaluate(
    ([file, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(data)], file, { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
    },
    [name, [...readFileSync(path)]],
  );
}
async function scrollTo(locator) {
  await locator.evaluate((el) => el.scrollIntoView({ block: "start" }));
}

/** Each brings the page into its state and takes its pictures; what they need of each other is made by the first. */
const STATES = {
  async first() {
    await open();
    await shoot("first");
  },
  async generating() {
    await open();
    await button("Generate").click();
    await page.getByRole("img", { name: /^Preview/ }).waitFor();
    await shoot("generating");
    await button("Another seed").waitFor();
  },
  async result() {
    if (!(await page.locator(".history .card").count())) await (open(), clip());
    await open({ seed: "8", prompt: "a blue heart growing at sunset" });
    await clip();
    await shoot("result");
    await page.getByText("Save", { exact: true }).click();
    await page.getByRole("button", { name: /^GIF/ }).waitFor();
    await shoot("save");
    await page.keyboard.press("Escape");
  },
  async compare() {
    await page.locator(".history .card .open").first().click();
    await button("Compare").click();
    await shoot("compare-picking");
    await page.locator(".history .card .open").nth(1).click();
    await page.getByRole("article", { name: "Two clips beside each other" }).waitFor();
    await shoot("compare");
  },
  async four() {
    await open({ width: 64, height: 64, frames: 4, steps: 2 });
    await button("Four seeds").click();
    await page.locator(".cells canvas").nth(1).waitFor();
    await shoot("four");
    await button("Generate", false)
      .or(page.getByRole("button", { name: /^Queue another/ }))
      .first()
      .click();
    await shoot("queue");
    await button("Stop all").click();
    await button("Run it again").or(page.getByText("Press the one you like")).first().waitFor();
    await shoot("stopped");
  },
  async regions() {
    const half = { y: 0, width: 0.5, height: 1 };
    const regions = [
      { text: "a red star on a night sky", x: 0, ...half },
      { text: "a blue heart on a night sky", x: 0.5, ...half },
    ];
    await open({ regions, prompt: "a star on a night sky" });
    await scrollTo(page.locator(".prompt"));
    await shoot("regions");
  },
  async travel() {
    await open({ travel: [{ frame: 8, text: "a blue heart growing at sunset" }], course: "loop", frames: 32 });
    await shoot("travel");
    await scrollTo(page.getByRole("region", { name: "Picture", exact: true }));
    await shoot("long");
  },
  async path() {
    const controlPath = [
      { x: 0.2, y: 0.7, t: 0 },
      { x: 0.5, y: 0.25, t: 0.5 },
      { x: 0.8, y: 0.7, t: 1 },
    ];
    await open({ control: "path", controlPath });
    await page.getByText("Points", { exact: true }).click();
    await scrollTo(page.getByRole("region", { name: "Follow" }));
    await shoot("path");
  },
  async video() {
    await open();
    await button("A video").click();
    await shoot("video-empty");
    await drop("demo.png", `${root}docs/demo-sheet.png`).catch(() => drop("demo.png", `${root}docs/studio.png`));
    await page.locator(".source img").waitFor();
    await scrollTo(page.getByRole("region", { name: "Start from" }));
    await shoot("video");
  },
  async advanced() {
    await open();
    await page.getByText("Advanced", { exact: true }).click();
    await scrollTo(page.getByText("Advanced", { exact: true }));
    await shoot("advanced");
  },
  async models() {
    await open();
    await tab("Models");
    await shoot("models-empty");
    for (const name of ["base", "motion-lcm"]) {
      await page.getByLabel("Model folder").setInputFiles(`${root}models/shapes/${name}`);
      await page.getByText(new RegExp(`^“${name}” is stored`, "i")).waitFor();
    }
    await page.getByLabel("Model files").setInputFiles(`${root}models/shapes/lcm-lora.safetensors`);
    await page.getByText(/^“lcm-lora.safetensors” is stored/).waitFor();
    await shoot("models");
    await tab("Create");
    await scrollTo(page.getByRole("region", { name: "Model", exact: true }));
    await shoot("model-panel");
    await tab("Models");
    for (const name of ["base", "motion-lcm", "lcm-lora.safetensors"]) await button(`Delete ${name}`).click();
  },
  async guides() {
    const fixtures = `${root}test/reference/fixtures/`;
    await open();
    await tab("Models");
    for (const name of ["tiny-a", "tiny-a-sparse", "tiny-a-ip-encoder"]) {
      await page.getByLabel("Model folder").setInputFiles(`${fixtures}${name}`);
      await page.getByText(new RegExp(`^“${name}” is stored`, "i")).waitFor();
    }
    const adapters = ["tiny-a-ip-adapter.safetensors", "tiny-a-ip-plus.safetensors"];
    await page.getByLabel("Model files").setInputFiles(adapters.map((name) => `${fixtures}${name}`));
    await page.getByText(/^“tiny-a-ip-plus.safetensors” is stored/).waitFor();
    await tab("Create");
    await button("Another frame").click();
    await page.getByLabel("Picture 1", { exact: true }).setInputFiles(`${root}docs/demo.png`);
    await page.getByLabel(`Picture 1 for ${adapters[0]}`).setInputFiles(`${root}docs/demo.png`);
    await scrollTo(page.getByRole("region", { name: "Follow" }));
    await shoot("guides");
    await tab("Models");
    for (const name of ["tiny-a", "tiny-a-sparse", "tiny-a-ip-encoder", ...adapters])
      await button(`Delete ${name}`).click();
  },
  async quota() {
    await open();
    await tab("Models");
    const session = await context.newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(address).origin, quotaSize: 1e6 });
    await page.getByLabel("Model files").setInputFiles(`${root}models/shapes/lcm-lora.safetensors`);
    await page.getByText(/storage is full/).waitFor();
    await shoot("quota");
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(address).origin });
  },
  async big() {
    await open();
    // An adapter that gives four trial buffers, 1 GiB, and no more.
    for (const worker of page.workers())
      await worker.evaluate(() => {
        const { prototype } = globalThis.GPUDevice ?? {};
        if (!prototype) return;
        const [createBuffer, popErrorScope] = ["createBuffer", "popErrorScope"].map((n) => Reflect.get(prototype, n));
        let tried = 0;
        prototype.createBuffer = function (d) {
          if (d.label === "trial") tried++;
          return createBuffer.call(this, d);
        };
        prototype.popErrorScope = async function () {
          const error = await popErrorScope.call(this);
          return tried > 4 ? new GPUOutOfMemoryError("none left") : error;
        };
      });
    await page.getByLabel("Width", { exact: true }).fill("2048");
    await page.getByLabel("Height", { exact: true }).fill("2048");
    await page.getByLabel("Height", { exact: true }).blur();
    await page.getByText(/^Too big for this GPU/).waitFor();
    await scrollTo(page.getByRole("region", { name: "Picture", exact: true }));
    await shoot("too-big");
    await page.reload();
  },
  async failed() {
    await open();
    await button("Generate").click();
    await page.getByText(/^(Reading the sentence|Step 1)/).waitFor();
    await page.getByRole("button", { name: /^Adapter/ }).click(); // lost once it goes on by itself
    await page.getByText("the clip goes on from its beginning").waitFor();
    await page.getByText(/^(Reading the sentence|Step 1)/).waitFor();
    await page.getByRole("button", { name: /^Adapter/ }).click();
    await page.getByText("It was reset").waitFor();
    await shoot("failed");
  },
  async learn() {
    await open({ width: 64, height: 64, frames: 4, steps: 2 });
    await tab("Learn");
    await page.getByRole("heading", { name: "What happens inside" }).waitFor();
    await shoot("learn-empty");
    await page.getByRole("combobox", { name: "A word to watch" }).selectOption("star");
    await button("Run and watch").click();
    await page.getByRole("img", { name: "“star” in frame 1" }).waitFor();
    await button("Run and watch").waitFor();
    await page.locator(".part").nth(4).click();
    await page.locator(".kernels button").first().click();
    await page.locator(".kernel-source").waitFor();
    await shoot("learn");
    await scrollTo(page.locator(".details"));
    await shoot("learn-source");
  },
  async missing() {
    const other = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-features=WebGPU"] });
    const plain = await other.newPage({ viewport: WIDTHS[0] });
    await plain.goto(address);
    await plain.locator(".help li").first().waitFor();
    await shoot("missing", plain);
    await other.close();
  },
};

for (const [name, state] of Object.entries(STATES)) {
  if (!wanted(name)) continue;
  try {
    await state();
  } catch (error) {
    console.error(`${name}: ${error.message.split("\n")[0]}`);
    process.exitCode = 1;
    await page.screenshot({ path: join(folder, `${name}-error.png`) }).catch(() => undefined);
  }
}
await browser.close();
server.closeAllConnections();
server.close();
