// The server of `kineograph studio`: the page, the model from the package, nothing else, for this machine alone.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { listen, studioServer } from "../../src/cli/studio.js";
import { hubFrom } from "../../src/cli/studio-policy.js";

let folder: string;
let server: Server;
let address: URL;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-server-"));
  mkdirSync(join(folder, "page/assets"), { recursive: true });
  mkdirSync(join(folder, "model/base"), { recursive: true });
  writeFileSync(join(folder, "page/index.html"), "<title>studio</title>");
  writeFileSync(join(folder, "page/assets/index-1.js"), "let a = 1;");
  writeFileSync(join(folder, "page/assets/hub-worker-1.js"), "let b = 2;");
  writeFileSync(join(folder, "model/base/model_index.json"), "{}");
  writeFileSync(join(folder, "secret.txt"), "secret");
  server = studioServer(join(folder, "page"), join(folder, "model"));
  address = new URL(await listen(server, 0));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Paths go out as they are written: `fetch` would tidy them up. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const r = request({ host: "127.0.0.1", port: address.port, path, method, headers }, (response) => {
      let text = "";
      response.on("data", (part) => (text += String(part)));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    r.on("error", reject);
    r.end();
  });
}

it("serves the page, and what its name tells is lasting for a year", async () => {
  expect(await get("/")).toMatchObject({ status: 200, text: "<title>studio</title>" });
  const script = await get("/assets/index-1.js?v=1");
  expect(script).toMatchObject({ status: 200, text: "let a = 1;" });
  expect(script.headers).toMatchObject({ "content-type": "text/javascript; charset=utf-8" });
  expect(script.headers["cache-control"]).toContain("immutable");
  expect((await get("/")).headers["cache-control"]).toBe("no-cache");
  const tag = String(script.headers["etag"]);
  expect(await get("/assets/index-1.js", { "if-none-match": tag })).toMatchObject({ status: 304, text: "" });
});

it("lets the hub's worker reach the hub, and nothing else anybody", async () => {
  const reach = async (path: string) =>
    /connect-src ([^;]*)/.exec(String((await get(path)).headers["content-security-policy"]))?.[1];
  for (const path of ["/", "/assets/index-1.js"]) expect(await reach(path)).toBe("'self' blob:");
  const own = "'self' blob: https://huggingface.co https://*.huggingface.co https://*.hf.co";
  expect(await reach("/assets/hub-worker-1.js")).toBe(own);
  expect((await get("/assets/hub-worker-1.js")).headers["cache-control"]).toBe("no-cache");
});

it("tells the page of the hub that HF_ENDPOINT names", async () => {
  const html = '<meta name="kineograph-hub" content="https://huggingface.co" />';
  writeFileSync(join(folder, "page/hub.html"), html);
  const mirror = studioServer(join(folder, "page"), folder, hubFrom({ HF_ENDPOINT: "https://mirror.example/hf/" }));
  const at = await listen(mirror, 0);
  expect(await (await fetch(`${at}hub.html`)).text()).toBe(
    html.replace("https://huggingface.co", "https://mirror.example/hf"),
  );
  const { headers } = await fetch(`${at}assets/hub-worker-1.js`);
  expect(headers.get("content-security-policy")).toContain("blob: https://mirror.example https://huggingface.co");
  mirror.closeAllConnections();
  mirror.close();
});

it("takes the bundled model from the package where the page has no copy", async () => {
  expect(await get("/models/shapes/base/model_index.json")).toMatchObject({ status: 200, text: "{}" });
});

it("leaves its folder in no way, and answers other sites' names with a refusal", async () => {
  for (const path of [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/models/shapes/../../../secret.txt",
    "/%00",
    "/%zz",
  ])
    expect(await get(path), path).toMatchObject({ status: 404 });
  expect(await get("/", { host: "evil.example" })).toMatchObject({ status: 403 });
  expect(await get("/", {}, "POST")).toMatchObject({ status: 405 });
});

it("says so where the port is taken", async () => {
  const other = studioServer(folder, folder);
  await expect(listen(other, Number(address.port))).rejects.toThrow(/port \d+ is in use.*--port/);
});
