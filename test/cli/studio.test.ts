// The studio's server, as seen from outside: what becomes of a download that is broken off.

import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { listen, studioServer } from "../../src/cli/studio.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kineograph-studio-"));
  for (const name of ["large.bin", "large.json"]) writeFileSync(join(folder, name), new Uint8Array(2 ** 24));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Files of the folder that this process has open. */
const open = (): string[] =>
  readdirSync("/proc/self/fd")
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ""; // closed meanwhile
      }
    })
    .filter((path) => path.startsWith(folder));

/** Begins to read and goes away. */
function abandon(url: string): Promise<void> {
  return new Promise((resolve) => {
    const request = get(url, { headers: { "accept-encoding": "gzip" } }, (response) =>
      response.once("data", () => {
        request.destroy();
        resolve();
      }),
    );
    request.on("error", () => undefined);
  });
}

it.skipIf(process.platform !== "linux").each(["large.bin", "large.json"])(
  "closes %s where the download is broken off",
  async (name) => {
    const server = studioServer(folder, folder);
    const address = await listen(server, 0);
    try {
      for (let i = 0; i < 8; i++) await abandon(address + name);
      await vi.waitFor(() => expect(open()).toEqual([]), { timeout: 5000 });
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  },
);
