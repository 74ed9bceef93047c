import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeTuningCache } from "../../src/io/node-tuning.js";

describe("the tuning cache on disk", () => {
  let home = "";
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "kineograph-tuning-"));
  });
  afterAll(() => rm(home, { recursive: true }));

  it("keeps a file for each name in the user's cache folder", async () => {
    const cache = nodeTuningCache({ XDG_CACHE_HOME: home });
    expect(await cache.read("tuning-1")).toBeUndefined();
    await cache.write("tuning-1", "one");
    await cache.write("tuning-1", "two");
    expect(await cache.read("tuning-1")).toBe("two");
    expect(await readdir(join(home, "kineograph"))).toEqual(["tuning-1.json"]); // nothing half written beside it
  });

  it("does without where the folder cannot be made", async () => {
    await writeFile(join(home, "file"), "");
    const cache = nodeTuningCache({ XDG_CACHE_HOME: join(home, "file") });
    await expect(cache.write("tuning-1", "one")).resolves.toBeUndefined();
    expect(await cache.read("tuning-1")).toBeUndefined();
  });
});
