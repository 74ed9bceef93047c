// Names of the hub, which files a use needs, and the cache: found, fetched, resumed, verified, explained.

import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { neededFiles, parseHubName, SHORT_NAMES, type HubUse } from "../../src/io/hub-names.js";
import { hubPath, type HubOptions } from "../../src/io/node-hub.js";
import { COMMIT, HubServer } from "./hub-server.js";

describe("parseHubName", () => {
  it.each([
    ["hf:a/b", { repo: "a/b", revision: "main", path: undefined }],
    ["hf:a/b@v1", { repo: "a/b", revision: "v1", path: undefined }],
    ["hf:a/b@refs%2Fpr%2F1/x/y.safetensors", { repo: "a/b", revision: "refs/pr/1", path: "x/y.safetensors" }],
    ["hf:a/b/models/image_encoder/", { repo: "a/b", revision: "main", path: "models/image_encoder" }],
    ["sd15", { repo: "stable-diffusion-v1-5/stable-diffusion-v1-5", revision: "main", path: undefined }],
    ["some/folder", undefined],
  ])("reads %s", (text, name) => {
    expect(parseHubName(text)).toEqual(name);
  });

  it.each(["hf:", "hf:a", "hf:/a/b", "hf:a/..", "hf:a/b/../c", "hf:a/b//c", "hf:a b/c"])("refuses %s", (text) => {
    expect(() => parseHubName(text)).toThrow(/expected hf:owner\/name|is no path inside a repository/);
  });

  it("has short names that are names", () => {
    for (const { name } of SHORT_NAMES) expect(parseHubName(name)).toBeDefined();
    expect(new Set(SHORT_NAMES.map((s) => s.name)).size).toBe(SHORT_NAMES.length);
  });
});

const MODEL = [
  "model_index.json",
  "README.md",
  "v1-5-pruned.ckpt",
  "v1-5-pruned-emaonly.safetensors",
  "scheduler/scheduler_config.json",
  "tokenizer/vocab.json",
  "tokenizer/merges.txt",
  "tokenizer/tokenizer_config.json",
  "text_encoder/config.json",
  "text_encoder/model.safetensors",
  "text_encoder/model.fp16.safetensors",
  "text_encoder/pytorch_model.bin",
  "unet/config.json",
  "unet/diffusion_pytorch_model.safetensors.index.json",
  "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
  "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
  "unet/diffusion_pytorch_model.safetensors.index.fp16.json",
  "unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors",
  "unet/diffusion_pytorch_model.non_ema.safetensors",
  "vae/config.json",
  "vae/diffusion_pytorch_model.safetensors",
  "safety_checker/model.safetensors",
  "feature_extractor/preprocessor_config.json",
];
const need = (text: string, use: HubUse, paths: readonly string[], o = {}) =>
  neededFiles(parseHubName(text)!, use, paths, o);

it("documents every short name as it is", () => {
  const page = readFileSync(new URL("../../docs/downloads.md", import.meta.url), "utf8");
  const rows = page.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  for (const s of SHORT_NAMES)
    expect(rows).toContainEqual(["", s.name, `\`${s.option}\``, s.target, expect.any(String), s.licence, ""]);
});

describe("neededFiles", () => {
  it("takes a diffusers folder's networks, no second precision, format or single file", () => {
    const { files, at } = need("hf:a/b", "model", MODEL);
    expect(at).toBe("");
    expect(files).toEqual([
      ...MODEL.filter((p) => /^(model_index|scheduler|tokenizer)/.test(p)),
      "unet/config.json",
      "unet/diffusion_pytorch_model.safetensors.index.json",
      "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
      "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors",
    ]);
  });

  it("prefers fp16 where asked, but what is here already over both", () => {
    const half = need("hf:a/b", "model", MODEL, { half: true }).files;
    expect(half).toContain("text_encoder/model.fp16.safetensors");
    expect(half).toContain("unet/diffusion_pytorch_model.fp16-00001-of-00001.safetensors");
    expect(half).toContain("vae/diffusion_pytorch_model.safetensors");
    expect(half).not.toContain("unet/diffusion_pytorch_model-00001-of-00002.safetensors");
    const have = (p: string) => p === "text_encoder/model.safetensors";
    expect(need("hf:a/b", "model", MODEL, { half: true, have }).files).toContain("text_encoder/model.safetensors");
  });

  it("takes one file, a component at the top or in a folder, and a lone weight file", () => {
    expect(need("hf:a/b/v1-5-pruned.ckpt", "model", MODEL)).toEqual({
      files: ["v1-5-pruned.ckpt"],
      at: "v1-5-pruned.ckpt",
    });
    expect(need("hf:a/b/vae", "component", MODEL)).toEqual({
      files: ["vae/config.json", "vae/diffusion_pytorch_model.safetensors"],
      at: "vae",
    });
    const adapter = ["config.json", "diffusion_pytorch_model.safetensors", "other.ckpt"];
    expect(need("hf:a/b", "component", adapter)).toEqual({ files: adapter.slice(0, 2), at: "" });
    expect(need("hf:a/b", "file", ["README.md", "l.safetensors"])).toEqual({
      files: ["l.safetensors"],
      at: "l.safetensors",
    });
  });

  it("says which files could be meant", () => {
    expect(() => need("hf:a/b", "file", ["x.safetensors", "y.ckpt"])).toThrow(
      "hf:a/b has several files that could be meant; name one, as hf:a/b/<file>: x.safetensors, y.ckpt",
    );
    expect(() => need("hf:a/b/no.bin", "file", MODEL)).toThrow("hf:a/b/no.bin: the repository has no such file");
    expect(() => need("hf:a/b", "model", ["README.md"])).toThrow("has no model_index.json and no single weight file");
  });
});

const server = new HubServer();
const large = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251);
const small = new TextEncoder().encode('{"a": 1}');
let cache: string;
let options: HubOptions;

beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "kineograph-hub-"));
  options = { cacheFolder: cache, endpoint: server.endpoint, token: "", offline: false, pause: 20 };
  server.log.length = server.faults.length = 0;
  server.repos.set("a/b", {
    files: new Map([
      ["config.json", small],
      ["diffusion_pytorch_model.safetensors", large],
      ["extra.bin", large],
    ]),
  });
  server.repos.set("a/gated", { files: new Map([["x.safetensors", large]]), token: "secret" });
  return () => rmSync(cache, { recursive: true });
});

const name = parseHubName("hf:a/b")!;
const weights = (folder: string) => readFileSync(join(folder, "diffusion_pytorch_model.safetensors"));
const blobs = () => join(cache, "models--a--b", "blobs");

describe("hubPath", () => {
  it("fetches what is needed into the shared layout, once", async () => {
    const seen: number[] = [];
    const folder = await hubPath(name, "component", {
      ...options,
      onProgress: (p) => seen.push(p.loadedBytes / p.totalBytes),
    });
    expect(folder).toBe(join(cache, "models--a--b", "snapshots", COMMIT));
    expect(Buffer.compare(weights(folder), large)).toBe(0);
    expect(readlinkSync(join(folder, "config.json"))).toMatch(/^\.\.[\\/]\.\.[\\/]blobs[\\/][0-9a-f]{40}$/);
    expect(readlinkSync(join(folder, "diffusion_pytorch_model.safetensors"))).toMatch(/blobs[\\/][0-9a-f]{64}$/);
    expect(readFileSync(join(cache, "models--a--b", "refs", "main"), "utf8")).toBe(COMMIT);
    expect(seen.at(-1)).toBe(1);
    expect(server.log.filter((l) => l.includes("extra"))).toEqual([]);
    const requests = server.log.length;
    expect(await hubPath(name, "component", options)).toBe(folder);
    expect(await hubPath(name, "component", { ...options, offline: true })).toBe(folder);
    expect(server.log.length).toBe(requests);
  });

  it("goes on where a cut line left it, and where an earlier run was stopped", async () => {
    server.faults.push({ kind: "cut", after: 0 }, { kind: "none" });
    server.faults.push({ kind: "cut", after: 70_000 }, { kind: "status", status: 503 });
    const folder = await hubPath(name, "component", options);
    expect(Buffer.compare(weights(folder), large)).toBe(0);
    expect(server.log.filter((l) => l.startsWith("storage"))).toEqual([
      "storage",
      "storage bytes=70000-",
      "storage bytes=70000-",
    ]);

    rmSync(cache, { recursive: true });
    const stop = new AbortController();
    const stopped = hubPath(name, "component", {
      ...options,
      signal: stop.signal,
      onProgress: (p) => p.loadedBytes > 60_000 && stop.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    server.log.length = 0;
    expect(Buffer.compare(weights(await hubPath(name, "component", options)), large)).toBe(0);
    expect(server.log.filter((l) => l.startsWith("storage"))).toEqual([expect.stringMatching(/bytes=[1-9]\d+-$/)]);
  });

  it("starts over where the server knows no ranges", async () => {
    server.faults.push({ kind: "status", status: 500 }, { kind: "cut", after: 9_000 }, { kind: "no ranges" });
    expect(Buffer.compare(weights(await hubPath(name, "component", options)), large)).toBe(0);
  });

  it("keeps nothing with a wrong checksum", async () => {
    server.faults.push({ kind: "corrupt" });
    expect(Buffer.compare(weights(await hubPath(name, "component", options)), large)).toBe(0);
    rmSync(cache, { recursive: true });
    server.faults.push({ kind: "corrupt" }, { kind: "corrupt" });
    await expect(hubPath(name, "component", options)).rejects.toThrow("hf:a/b/config.json arrived damaged twice");
    // A part that another program left and that is not the beginning of this file.
    server.faults.length = 0;
    const folder = await hubPath(name, "component", options);
    const blob = readlinkSync(join(folder, "diffusion_pytorch_model.safetensors")).split(/[\\/]/).at(-1)!;
    rmSync(join(cache, "models--a--b"), { recursive: true });
    mkdirSync(blobs(), { recursive: true });
    writeFileSync(join(blobs(), `${blob}.incomplete`), new Uint8Array(1234));
    expect(Buffer.compare(weights(await hubPath(name, "component", options)), large)).toBe(0);
  });

  it("refuses another size than listed", async () => {
    server.faults.push({ kind: "longer" });
    await expect(hubPath(name, "component", options)).rejects.toThrow(
      "hf:a/b/config.json: the server sends 9 bytes where its list says 8",
    );
  });

  it("waits as it is told, and gives up in the end", async () => {
    server.faults.push({ kind: "status", status: 429, retryAfter: 1 });
    const start = performance.now();
    await hubPath(name, "component", options);
    expect(performance.now() - start).toBeGreaterThan(990);
    rmSync(cache, { recursive: true });
    server.faults.push(...Array.from({ length: 6 }, () => ({ kind: "status", status: 503 }) as const));
    await expect(hubPath(name, "component", options)).rejects.toThrow("the server gave nothing 6 times in a row");
  }, 30_000);

  it("sends the token to the hub and to nobody else", async () => {
    const gated = parseHubName("hf:a/gated/x.safetensors")!;
    const file = await hubPath(gated, "file", { ...options, token: "secret" });
    expect(file).toMatch(/x\.safetensors$/);
    expect(server.log).toEqual(["GET x.safetensors  secret", "storage"]);
  });

  it.each([
    ["hf:a/gated", "", /^hf:a\/gated is not there, or not public; if it is private or gated, set HF_TOKEN; see http/],
    ["hf:a/gated", "wrong", /^hf:a\/gated is gated: accept its conditions at http\S+\/a\/gated with the account/],
    ["hf:a/none", "", /^hf:a\/none is not there, or not public/],
    ["hf:a/b@v9", "", /^hf:a\/b@v9 is not there/],
    ["hf:a/b/none.bin", "", /^hf:a\/b\/none\.bin: the repository has no such file or folder$/],
  ])("explains %s with token %j", async (text, token, message) => {
    await expect(hubPath(parseHubName(text)!, "file", { ...options, token })).rejects.toThrow(message);
  });

  it("uses the cache where the hub cannot be reached, and says so", async () => {
    const folder = await hubPath(name, "component", options);
    const warnings: string[] = [];
    const away = { ...options, endpoint: "http://127.0.0.1:9", onWarning: (t: string) => warnings.push(t) };
    expect(await hubPath(name, "component", away)).toBe(folder);
    expect(warnings).toEqual([
      expect.stringMatching(/cannot be reached \(.*\); using the files of hf:a\/b that are on this disk/),
    ]);
    await expect(hubPath(parseHubName("hf:a/c")!, "component", away)).rejects.toThrow(
      /^hf:a\/c is not in the cache on this disk, and http:\/\/127\.0\.0\.1:9 cannot be reached/,
    );
    await expect(hubPath(parseHubName("hf:a/c")!, "component", { ...options, offline: true })).rejects.toThrow(
      "hf:a/c is not in the cache on this disk, and HF_HUB_OFFLINE is set; fetch it once while online",
    );
  });

  it("names the cache where that cannot be written, and uses what others put there", async () => {
    const file = join(cache, "file");
    writeFileSync(file, "");
    await expect(hubPath(name, "component", { ...options, cacheFolder: file })).rejects.toThrow(
      /^hf:a\/b is not in the cache on this disk, and .*file\/models--a--b cannot be written \(.*\); set HF_HUB_CACHE to a/,
    );
    const folder = await hubPath(name, "component", options);
    const refs = join(cache, "models--a--b", "refs");
    rmSync(refs, { recursive: true });
    writeFileSync(refs, ""); // no place for a reference
    const warnings: string[] = [];
    expect(await hubPath(name, "component", { ...options, onWarning: (t) => warnings.push(t) })).toBe(folder);
    expect(warnings).toEqual([]);
  });
});
