// hf: names on the command line, against a server that speaks the hub's interface: fetched, found again, refused.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { program } from "../../src/cli/program.js";
import { HubServer } from "../io/hub-server.js";

const model = fileURLToPath(new URL("../reference/fixtures/tiny-a/", import.meta.url));
const server = new HubServer();
const cache = mkdtempSync(join(tmpdir(), "kineograph-hub-"));

beforeAll(async () => {
  await server.start();
  const paths = readdirSync(model, { recursive: true, withFileTypes: true })
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(model.length).replaceAll("\\", "/"));
  server.repos.set("t/tiny", { files: new Map(paths.map((p) => [p, readFileSync(join(model, p))])) });
  vi.stubEnv("HF_ENDPOINT", server.endpoint);
  vi.stubEnv("HF_HUB_CACHE", cache);
});
afterAll(() => {
  vi.unstubAllEnvs();
  server.stop();
  rmSync(cache, { recursive: true });
});

/** `kineograph plan --json` of a model; what it printed on stdout and stderr. */
async function plan(name: string): Promise<{ readonly bytes: unknown; readonly stderr: string }> {
  const out = vi.spyOn(console, "log").mockReturnValue();
  let stderr = "";
  const err = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  try {
    await program().parseAsync(["plan", "--model", name, "--frames", "2", "--size", "32x24", "--json"], {
      from: "user",
    });
    return { bytes: (JSON.parse(String(out.mock.calls[0]![0])) as { peakBytes: number }).peakBytes, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

it("fetches a model by its hf: name, tells so, and finds it again without the hub", async () => {
  const local = await plan(model);
  const first = await plan("hf:t/tiny");
  expect(first.bytes).toBe(local.bytes);
  expect(first.stderr).toMatch(/^download +\S+ \S+ +hf:t\/tiny, [\d.]+ MiB\n$/);
  vi.stubEnv("HF_HUB_OFFLINE", "1");
  expect(await plan("hf:t/tiny")).toEqual({ bytes: local.bytes, stderr: "" });
  await expect(plan("hf:t/other")).rejects.toThrow(/^hf:t\/other is not in the cache on this disk, and HF_HUB_OFFLINE/);
});
