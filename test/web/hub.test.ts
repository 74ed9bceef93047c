// Models by their names on the hub, in the browser: against a server that speaks the hub's interface, with real files.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { HubServer } from "../io/hub-server.js";
import { axeViolations } from "./axe.js";
import { openStudio, skipped, type Studio } from "./browser.js";

const shapes = fileURLToPath(new URL("../../models/shapes/", import.meta.url));
const lora = new Uint8Array(readFileSync(join(shapes, "lcm-lora.safetensors")));
const LORA = "hf:kino/shapes/lcm-lora.safetensors";

function filesBelow(folder: string): Map<string, Uint8Array> {
  const paths = readdirSync(join(shapes, folder), { recursive: true }).map((p) => String(p).replaceAll("\\", "/"));
  const files = paths.filter((p) => statSync(join(shapes, folder, p)).isFile());
  return new Map(files.map((p) => [p, readFileSync(join(shapes, folder, p))]));
}

describe.skipIf(skipped)("studio's models by name", { timeout: 300_000 }, () => {
  const server = new HubServer();
  let studio: Studio;
  beforeAll(async () => {
    await server.start();
    const base = filesBelow("base");
    server.repos.set("kino/shapes", {
      files: new Map([
        ...base,
        ["unet/diffusion_pytorch_model.bin", lora],
        ["safety_checker/model.safetensors", lora],
        ["lcm-lora.safetensors", lora],
      ]),
    });
    server.repos.set("kino/several", {
      files: new Map([
        ["a.safetensors", lora],
        ["b.safetensors", lora],
      ]),
    });
    server.repos.set("kino/gated", { files: new Map([["lora.safetensors", lora]]), token: "secret" });
    // The hub redirects to a second origin, which the policy has to name as well.
    // Nothing here needs an adapter.
    studio = await openStudio({ webgpu: false, hub: { endpoint: server.endpoint, hosts: ["http://127.0.0.1:*"] } });
  });
  afterAll(async () => {
    await studio.close();
    server.stop();
  });
  beforeEach(() => {
    server.log.length = server.faults.length = 0;
  });

  const lookUp = async (page: Page, name: string) => {
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Look it up" }).click();
  };
  /** What it is has been read from its headers; what the server logged for that is forgotten. */
  const known = async (page: Page) => {
    await page.getByText(/ parameters\.$/).waitFor();
    server.log.length = 0;
  };
  const arrived = (page: Page, bytes: number) => page.locator(`.importing progress[value="${bytes}"]`).waitFor();
  const models = (page: Page) => page.locator(".model strong").allInnerTexts();

  it("asks before it downloads, and takes what the command line would", async () => {
    const { page, errors, close } = await studio.open();
    const asked: string[] = [];
    page.context().on("request", (r) => {
      if (!r.url().startsWith(studio.address) && !r.url().startsWith("blob:")) asked.push(r.url());
    });
    await page.getByRole("link", { name: "Models" }).click();
    await page.getByRole("heading", { name: "From the Hugging Face Hub" }).waitFor();
    await page.getByLabel("Name", { exact: true }).fill("kino/shapes");
    expect(page.workers().some((w) => w.url().includes("hub-worker"))).toBe(false);
    expect(asked).toEqual([]);
    await page.getByRole("button", { name: "Look it up" }).click();
    const files = page.getByRole("list", { name: "Files" });
    await files.waitFor();
    await page.getByText(/^Diffusers folder \(StableDiffusionPipeline\), \d+(\.\d+)? M parameters\.$/).waitFor();
    // Headers and small texts alone.
    const read = server.log
      .map((l) => / bytes=(\d+)-(\d+)$/.exec(l)!)
      .map(([, first, last]) => Number(last) - Number(first));
    expect(read.reduce((n, m) => n + m, 0)).toBeLessThan(1e6);
    const listed = await files.locator("li span:first-child").allInnerTexts();
    expect(listed.toSorted()).toEqual([...filesBelow("base").keys()].filter((p) => !/README/.test(p)).toSorted());
    expect(await axeViolations(page)).toEqual([]);

    await page.getByRole("button", { name: /^Download/ }).click();
    await page.getByText(/^“shapes” is stored, as a model/).waitFor();
    expect(server.log.filter((l) => /\.bin|safety/.test(l))).toEqual([]);
    await page.getByRole("button", { name: "Check shapes" }).click();
    await page.getByText("“shapes”: every checksum is as it was").waitFor();
    await lookUp(page, `${server.endpoint}/kino/shapes`);
    await page.getByText("It is in this browser already").waitFor();
    expect(errors).toEqual([]);
    await close();
  });

  it("lets nobody but the hub's worker reach the hub", async () => {
    const { page, close } = await studio.open();
    await page.getByRole("link", { name: "Models" }).click();
    await lookUp(page, "kino/several");
    await page.getByText("has several files that could be meant; choose one").waitFor();
    const reached = (url: string) =>
      fetch(url).then(
        () => true,
        () => false,
      );
    const url = `${server.endpoint}/api/models/kino/several/revision/main`;
    expect(await page.evaluate(reached, url)).toBe(false);
    const found = page.workers().map(async (w) => [w.url().includes("hub-worker"), await w.evaluate(reached, url)]);
    const pairs = await Promise.all(found);
    expect(pairs.length).toBeGreaterThanOrEqual(2); // the desk's and the hub's, at least
    for (const [isHub, could] of pairs) expect(could).toBe(isHub);

    await page.getByLabel("One of its files").selectOption("b.safetensors");
    await page.getByRole("list", { name: "Files" }).getByText("b.safetensors").waitFor();
    await close();
  });

  it("goes on after a cut line, a stop and a closed page, from the bytes that are there", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await lookUp(page, LORA);
    await known(page);
    server.faults.push({ kind: "stall", after: 1_000_000 }, { kind: "stall", after: 500_000 });
    await page.getByRole("button", { name: /^Download/ }).click();
    await arrived(page, 1_000_000);
    server.cut(); // a page that has not read yet what came would lose it with the line
    await arrived(page, 1_500_000);
    await page.getByText(/^1\.5 MB of 3\.7 MB/).waitFor();
    expect(server.log).toEqual(["GET lcm-lora.safetensors", "storage", ...ranged(1_000_000)]);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText(/^Stopped\. What has come is kept/).waitFor();
    await page.getByText("1.5 MB of 3.7 MB are here. The rest can be downloaded.").waitFor();
    expect(await axeViolations(page)).toEqual([]);

    server.log.length = 0;
    server.faults.push({ kind: "stall", after: 750_000 });
    // The same download asked for by its name is the one that was begun.
    await page.getByRole("button", { name: /^Download/ }).click();
    await arrived(page, 2_250_000);
    expect(server.log).toEqual(ranged(1_500_000));
    await page.reload();
    await page
      .getByText("“lcm-lora.safetensors” was cut off while it was added; go on with it under Models.")
      .waitFor();
    expect(await models(page)).toEqual(["lcm-lora.safetensors", "Shapes (demo)"]);

    server.log.length = 0;
    await page.getByRole("button", { name: "Go on with lcm-lora.safetensors" }).click();
    await page.getByText(/^“lcm-lora.safetensors” is stored, as a LoRA/).waitFor();
    expect(server.log).toEqual(ranged(2_250_000));
    await page.getByRole("button", { name: "Check lcm-lora.safetensors" }).click();
    await page.getByText("“lcm-lora.safetensors”: every checksum is as it was").waitFor();
    expect(await models(page)).toEqual(["Shapes (demo)", "lcm-lora.safetensors"]);
    await close();
  });

  it("keeps nothing whose checksum is wrong", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await lookUp(page, LORA);
    await known(page);
    server.faults.push({ kind: "corrupt" }, { kind: "corrupt" });
    await page.getByRole("button", { name: /^Download/ }).click();
    await page.getByText(/lcm-lora\.safetensors arrived damaged twice \(its checksum is wrong\)/).waitFor();
    expect(await models(page)).toEqual(["Shapes (demo)"]);
    // Once is mended by itself.
    server.faults.push({ kind: "corrupt" });
    await page.getByRole("button", { name: /^Download/ }).click();
    await page.getByText(/^“lcm-lora.safetensors” is stored, as a LoRA/).waitFor();
    await close();
  });

  it("opens what is gated with a token, which goes to the hub alone and is kept nowhere", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await lookUp(page, "kino/gated");
    await page
      .getByText(/^hf:kino\/gated is not there, or not public; if it is private or gated, give a token/)
      .waitFor();
    await page.getByText("Gated or private").click();
    await page.getByLabel("Token").fill("wrong");
    await lookUp(page, "kino/gated");
    await page
      .getByText(/^hf:kino\/gated is gated: accept its conditions at .* with the account of your token/)
      .waitFor();
    await page.getByLabel("Token").fill("secret");
    await lookUp(page, "kino/gated");
    await known(page);
    await page.getByRole("button", { name: /^Download/ }).click();
    await page.getByText(/^“lora.safetensors” is stored, as a LoRA/).waitFor();
    expect(server.log).toEqual(["GET lora.safetensors  secret", "storage"]);
    expect(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))).not.toContain("secret");
    await page.reload();
    await page.getByText("Gated or private").click();
    expect(await page.getByLabel("Token").inputValue()).toBe("");
    await close();
  });

  it("says in a sentence what is not there, no name, unreachable or too large", async () => {
    const { page, close } = await studio.open();
    await page.goto(`${studio.address}#models`);
    await lookUp(page, "kino/none");
    await page.getByText(/^hf:kino\/none is not there, or not public/).waitFor();
    await lookUp(page, "kino/shapes@v9");
    await page.getByText(/^hf:kino\/shapes@v9 is not there/).waitFor();
    await lookUp(page, "kino/shapes/unet/config.json");
    await page.getByText(/^hf:kino\/shapes\/unet\/config.json is no checkpoint/).waitFor();
    await lookUp(page, "nonsense");
    await page.getByText(/^hf:nonsense is no name of the Hugging Face Hub; expected hf:owner\/name/).waitFor();

    await lookUp(page, "kino/shapes/text_encoder");
    await page.getByText(/^Text_encoder is a folder of CLIPTextModel, which no setting of this page takes/).waitFor();
    expect(await page.getByRole("button", { name: /^Download/ }).isDisabled()).toBe(true);

    server.faults.push({ kind: "no ranges" });
    await lookUp(page, LORA);
    await page.getByText("What it is will be seen once it is here.").waitFor();
    const session = await page.context().newCDPSession(page);
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(studio.address).origin, quotaSize: 1e6 });
    await page.getByRole("button", { name: /^Download/ }).click();
    await page.getByText(/storage is full: lcm-lora.safetensors takes 4 MB/).waitFor();
    await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(studio.address).origin });

    await page.context().setOffline(true);
    await lookUp(page, "kino/shapes");
    await page.getByText(/^This machine is offline/).waitFor();
    await page.context().setOffline(false);
    // What had come is kept, for when there is room.
    expect(await models(page)).toEqual(["lcm-lora.safetensors", "Shapes (demo)"]);
    await page.getByRole("button", { name: "Delete lcm-lora.safetensors, cut off" }).click();
    await expect.poll(() => models(page)).toEqual(["Shapes (demo)"]);
    await close();
  });
});

/** The log of a request for the LoRA from this byte on. */
function ranged(from: number): string[] {
  return [`GET lcm-lora.safetensors bytes=${from}-`, `storage bytes=${from}-`];
}
